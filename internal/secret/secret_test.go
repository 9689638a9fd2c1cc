package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/secret"
)

func ring(t *testing.T, ids ...uint32) *secret.Keyring {
	t.Helper()
	keys := map[uint32][]byte{}
	for _, id := range ids {
		keys[id] = bytes.Repeat([]byte{byte(id)}, 32)
	}
	k, err := secret.NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestStringNeverPrints(t *testing.T) {
	s := secret.NewString("correct horse")
	j, _ := json.Marshal(struct{ S secret.String }{s})
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), string(j), fmt.Sprintf("%+v", struct{ A secret.String }{s})} {
		if strings.Contains(out, "horse") {
			t.Errorf("printed: %s", out)
		}
	}
}

func TestSealedValueOpensOnlyInItsPlace(t *testing.T) {
	k := ring(t, 1)
	sealed := k.Seal("credentials/state/7", []byte("seed"))
	if got, err := k.Open("credentials/state/7", sealed); err != nil || string(got) != "seed" {
		t.Fatalf("open: %q, %v", got, err)
	}
	if _, err := k.Open("credentials/state/8", sealed); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("moved ciphertext opened: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := k.Open("credentials/state/7", bad); err == nil {
			t.Fatalf("byte %d changed and it opened", i)
		}
	}
}

func TestRotationOpensOldAndSealsNew(t *testing.T) {
	old := ring(t, 1).Seal("x", []byte("v"))
	both := ring(t, 1, 2)
	if got, err := both.Open("x", old); err != nil || string(got) != "v" {
		t.Fatalf("old value: %q %v", got, err)
	}
	if got, err := ring(t, 2).Open("x", both.Seal("x", []byte("w"))); err != nil || string(got) != "w" {
		t.Errorf("not sealed with the newest key: %q %v", got, err)
	}
	if !bytes.Equal(ring(t, 1).Pseudonym("name", "ada"), both.Pseudonym("name", "ada")) {
		t.Error("adding a key flipped pseudonyms")
	}
}

func TestBoxBindsPurposeBrowserAndTime(t *testing.T) {
	box := secret.NewBox(ring(t, 1))
	now := time.Unix(1_800_000_000, 0)
	tok, err := box.Pack("signin", "browser-1", "hello", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := box.Unpack("signin", "browser-1", tok, now, &got); err != nil || got != "hello" {
		t.Fatalf("%q %v", got, err)
	}
	if err := box.Unpack("stepup", "browser-1", tok, now, &got); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("other purpose: %v", err)
	}
	if err := box.Unpack("signin", "browser-2", tok, now, &got); !errors.Is(err, secret.ErrSealed) {
		t.Errorf("other browser: %v", err)
	}
	got = ""
	if err := box.Unpack("signin", "browser-1", tok, now.Add(time.Minute), &got); !errors.Is(err, secret.ErrExpired) || got != "hello" {
		t.Errorf("expired: %q %v", got, err)
	}
}

// What the house sealed at that place, but not as a token, opens nothing.
func TestBoxTakesTokensOnly(t *testing.T) {
	k := ring(t, 1)
	box := secret.NewBox(k)
	for _, plain := range []string{"", "short", "12345678", "12345678{", `{"e":1900000000000000,"v":"hello"}`} {
		tok := base64.RawURLEncoding.EncodeToString(k.Seal("box\x006:signinbrowser", []byte(plain)))
		var got string
		if err := box.Unpack("signin", "browser", tok, time.Unix(0, 0), &got); !errors.Is(err, secret.ErrSealed) || got != "" {
			t.Errorf("%q: %q %v", plain, got, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	k, _ := secret.NewKeyring(map[uint32][]byte{1: bytes.Repeat([]byte{1}, 32)})
	box := secret.NewBox(k)
	tok, _ := box.Pack("p", "b", 1, time.Unix(1<<40, 0))
	f.Add(tok)
	f.Add("")
	f.Add("AAAAAQ")
	f.Fuzz(func(t *testing.T, in string) {
		var v int
		if err := box.Unpack("p", "b", in, time.Unix(0, 0), &v); err == nil && in != tok {
			t.Errorf("forged token opened: %q", in)
		}
	})
}

func TestIDsSortByTime(t *testing.T) {
	a := secret.NewID(time.UnixMilli(1000))
	b := secret.NewID(time.UnixMilli(2000))
	if len(a) != 26 || a >= b {
		t.Errorf("%s %s", a, b)
	}
}
