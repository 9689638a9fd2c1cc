package recovery

import (
	"crypto/subtle"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// Begin has nothing to prepare: the codes were made long ago.
func (Method) Begin(method.BeginInput) (method.Prompt, error) { return method.Prompt{}, nil }

// Verify judges a code against every unused one, always all of them. The verdict's credential is without it.
func (Method) Verify(in method.VerifyInput) (method.Verdict, error) {
	clean, ok := secret.Untype(in.Answer.Text, Chars)
	hash := secret.Hash(clean)
	v := method.Verdict{Reason: "recovery.none"}
	for _, c := range in.Credentials {
		if c.Kind != method.Recovery || c.Pending || c.Person == "" || in.Subject.ID != "" && c.Person != in.Subject.ID {
			continue
		}
		r, err := read(c)
		if err != nil {
			return method.Verdict{}, err
		}
		found := -1
		for i, h := range r.Hashes {
			if subtle.ConstantTimeCompare(h, hash) == 1 {
				found = i
			}
		}
		if found < 0 || !ok {
			v = method.Verdict{Used: c.ID, Reason: "recovery.wrong"}
			continue
		}
		return used(c, r, found, in.Now)
	}
	return v, nil
}

// used is the verdict of the right code: it is gone, and the member hears how many are left.
func used(c method.Credential, r record, found int, now time.Time) (method.Verdict, error) {
	r.Hashes = slices.Delete(slices.Clone(r.Hashes), found, found+1)
	state, err := json.Marshal(r)
	if err != nil {
		return method.Verdict{}, err
	}
	c.State = state
	return method.Verdict{
		OK: true, Used: c.ID, Updated: &c, Notice: "recovery.used", Params: map[string]string{"left": strconv.Itoa(len(r.Hashes))},
		Evidence: method.Evidence{Kind: method.Recovery, Credential: c.ID, Factors: method.Possession, At: now},
	}, nil
}
