package oath

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// Begin has nothing to prepare: the code is made without us.
func (m *Method) Begin(method.BeginInput) (method.Prompt, error) {
	return method.Prompt{}, nil
}

// maxText is how much of an answer is looked at; the rest cannot be a passcode.
const maxText = 64

// clean drops what people type between digits (spaces, hyphens) and reads full-width digits as digits. Anything else
// stays, and is wrong.
func clean(text string) string {
	if len(text) > maxText {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\u00a0' || r == '\t' || r == '\u3000':
			return -1
		case r >= '\uff10' && r <= '\uff19':
			return r - '\uff10' + '0'
		}
		return r
	}, text)
}

// Verify judges a passcode against each of the person's apps. Two passcodes in a row, one after the other, set a
// clock right that is far off (see resync).
func (m *Method) Verify(in method.VerifyInput) (method.Verdict, error) {
	text := clean(in.Answer.Text)
	v := method.Verdict{Reason: "totp.none"}
	for _, c := range in.Credentials {
		if c.Kind != method.TOTP || c.Pending || c.Person == "" || in.Subject.ID != "" && c.Person != in.Subject.ID {
			continue
		}
		got, err := m.judge(c, text, in.Now)
		if err != nil {
			return method.Verdict{}, err
		}
		// A replay says more to the log than another app's "wrong".
		if got.OK || !v.OK && v.Reason != "totp.replayed" {
			v = got
		}
	}
	return v, nil
}

// judge is one app's verdict.
//
// Window: a code of the present step, of the one before (a slow reader) or of the one after (a fast clock) counts,
// shifted by the drift that was learned; it must be newer than the last one used. With 30 s steps a code shown at
// second 0 is accepted until second 59 and refused from second 60 on (attack G32).
func (m *Method) judge(c method.Credential, text string, now time.Time) (method.Verdict, error) {
	var r record
	if err := json.Unmarshal(c.State, &r); err != nil || r.Algorithm.new() == nil || r.Period <= 0 || r.Digits < 6 || r.Digits > 8 {
		return method.Verdict{}, fmt.Errorf("oath: stored credential %s does not read", c.ID)
	}
	here := step(now, r.period())
	found, ok := r.search(text, here+r.Drift, m.set.Behind, m.set.Ahead)
	next := r.learn(found, here)
	if !ok {
		found, ok = r.resync(text, here)
		next = record{Drift: found - here}
	}
	v := method.Verdict{Used: c.ID}
	switch {
	case !ok:
		v.Reason = "totp.wrong"
		return v, nil
	case found <= r.Last:
		v.Reason = "totp.replayed"
		return v, nil
	}
	r.Last, r.Drift, r.Slow = found, next.Drift, next.Slow
	state, err := json.Marshal(r)
	if err != nil {
		return method.Verdict{}, err
	}
	c.State = state
	v.OK, v.Updated = true, &c
	v.Evidence = method.Evidence{Kind: method.TOTP, Credential: c.ID, Factors: method.Possession, At: now}
	return v, nil
}

// learn moves the drift by at most one step for a right code. A code from ahead proves a fast clock at once; one from
// behind is mostly slow fingers, so only the third in a row counts.
func (r record) learn(found, here int64) record {
	switch centre := here + r.Drift; {
	case found > centre:
		r.Drift, r.Slow = min(r.Drift+1, MaxDrift), 0
	case found < centre:
		if r.Slow++; r.Slow >= 3 {
			r.Drift, r.Slow = max(r.Drift-1, -MaxDrift), 0
		}
	default:
		r.Slow = 0
	}
	return r
}

// resync accepts two consecutive codes up to ResyncSteps away (RFC 4226 section 7.4): 101 pairs of 10^12 for six
// digits, thirty thousand times less likely than the three codes of an ordinary guess.
func (r record) resync(text string, here int64) (found int64, ok bool) {
	if len(text) != 2*r.Digits {
		return 0, false
	}
	for s := here - ResyncSteps; s <= here+ResyncSteps; s++ {
		if subtle.ConstantTimeCompare([]byte(r.code(s)+r.code(s+1)), []byte(text)) == 1 && !ok {
			found, ok = s+1, true
		}
	}
	return found, ok
}

// search compares text with every step of the window, always all of them, in constant time each.
func (r record) search(text string, centre int64, behind, ahead int) (found int64, ok bool) {
	for s := centre - int64(behind); s <= centre+int64(ahead); s++ {
		if subtle.ConstantTimeCompare([]byte(r.code(s)), []byte(text)) == 1 && !ok {
			found, ok = s, true
		}
	}
	return found, ok
}
