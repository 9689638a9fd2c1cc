package session_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

func rememberHere(t interface{ Fatal(...any) }) (session.Browser, []byte) {
	b, token := session.NewBrowser(now, session.Remembering{Person: "ada", Browser: here, ProvenAt: now}, 30*24*time.Hour)
	return b, presented(t, b, token)
}

func presented(t interface{ Fatal(...any) }, b session.Browser, token secret.String) []byte {
	family, hash, ok := session.ParseToken(token)
	if !ok || family != b.Family {
		t.Fatal("our own token does not parse")
	}
	return hash
}

func TestRotate(t *testing.T) {
	b, first := rememberHere(t)
	later := now.Add(24 * time.Hour)
	next, token, standing := session.Rotate(b, first, here, later)
	if standing != session.Fresh || !standing.Counts() || !next.Expires.Equal(b.Expires) || !next.ProvenAt.Equal(b.ProvenAt) || !bytes.Equal(next.PrevHash, first) {
		t.Fatalf("%v %+v", standing, next)
	}
	second := presented(t, next, token)
	for _, c := range []struct {
		name string
		hash []byte
		from []byte
		at   time.Time
		want session.Standing
	}{
		{"the new one", second, here, later.Add(time.Hour), session.Fresh},
		{"the one before, at once: a lost answer or a second tab", first, here, later.Add(time.Second), session.Overlap},
		{"the one before, at the overlap's last moment", first, here, later.Add(session.RotationOverlap - 1), session.Overlap},
		{"the one before, later", first, here, later.Add(session.RotationOverlap), session.Stolen},
		{"the one before, at once, from another browser", first, other, later.Add(time.Second), session.Stolen},
		{"the new one from another browser", second, other, later.Add(time.Hour), session.Stolen},
		{"a made-up one", secret.Hash("x"), here, later.Add(time.Hour), session.Stolen},
		{"nothing", nil, here, later.Add(time.Hour), session.Stolen},
		{"after its end", second, here, b.Expires, session.Lapsed},
		{"a copy after its end", first, other, b.Expires, session.Lapsed},
	} {
		got, token, standing := session.Rotate(next, c.hash, c.from, c.at)
		if standing != c.want {
			t.Errorf("%s: %v, want %v", c.name, standing, c.want)
		}
		if (standing == session.Fresh) == token.Empty() {
			t.Errorf("%s: a token comes with Fresh and with nothing else", c.name)
		}
		if standing != session.Fresh && !bytes.Equal(got.TokenHash, next.TokenHash) {
			t.Errorf("%s: rotated all the same", c.name)
		}
	}
	if (session.Standing(0)).Counts() || session.Stolen.Counts() {
		t.Error("a lapsed or stolen browser counts")
	}
	if _, _, s := session.Rotate(session.Browser{Expires: later}, nil, nil, now); s.Counts() {
		t.Error("the zero browser counts")
	}
}

// TestG14_ACopiedTokenIsFoundOut: with a whole copy of a browser's cookies, one of the two holders presents a token
// that the other has rotated away, whoever comes first and however often; then nobody's token counts.
func TestG14_ACopiedTokenIsFoundOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, first := rememberHere(t)
		hold := [2][]byte{first, first} // the member's and the thief's
		used := [2]bool{}
		at := now
		for range 20 {
			who := rapid.IntRange(0, 1).Draw(t, "who")
			at = at.Add(rapid.SampledFrom([]time.Duration{2 * time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "after"))
			next, token, standing := session.Rotate(b, hold[who], here, at)
			if standing == session.Stolen {
				if !used[1-who] {
					t.Fatal("called stolen while only one holder had used it")
				}
				return
			}
			if used[1-who] {
				t.Fatalf("both holders were served: %v", standing)
			}
			used[who], b, hold[who] = true, next, presented(t, next, token)
		}
	})
}

// TestRotationNeverExtends: however often it is used, remembering ends when it was said to (attack G100's rule).
func TestRotationNeverExtends(t *testing.T) {
	b, hash := rememberHere(t)
	end := b.Expires
	for at := now; ; at = at.Add(24 * time.Hour) {
		next, token, standing := session.Rotate(b, hash, here, at)
		if !at.Before(end) {
			if standing != session.Lapsed {
				t.Fatalf("lives at %v: %v", at, standing)
			}
			return
		}
		if standing != session.Fresh || !next.Expires.Equal(end) {
			t.Fatalf("%v: %v, end %v", at, standing, next.Expires)
		}
		b, hash = next, presented(t, next, token)
	}
}

func TestTokensInTheCookie(t *testing.T) {
	var tokens []secret.String
	for range 7 {
		_, token := session.NewBrowser(now, session.Remembering{Person: "ada", Browser: here}, time.Hour)
		tokens = append(tokens, token)
	}
	cookie := session.JoinTokens(tokens)
	got := session.SplitTokens(cookie.Reveal())
	if len(got) != session.MaxRemembered || !got[4].Equal(tokens[6]) || !got[0].Equal(tokens[2]) {
		t.Errorf("%d tokens; the newest are not kept", len(got))
	}
	if strings.Contains(cookie.String(), ".") {
		t.Error("the cookie prints")
	}
	if n := len(session.SplitTokens(tokens[0].Reveal() + "~" + tokens[0].Reveal() + "~x.y~~")); n != 1 {
		t.Errorf("%d tokens of one family and rubbish", n)
	}
}

func FuzzSplitTokens(f *testing.F) {
	_, token := session.NewBrowser(now, session.Remembering{}, time.Hour)
	f.Add(token.Reveal() + "~" + token.Reveal())
	f.Add("a.b~.~~")
	f.Add(strings.Repeat("0", 26) + "." + strings.Repeat("=", 43))
	f.Fuzz(func(t *testing.T, cookie string) {
		tokens := session.SplitTokens(cookie)
		if len(tokens) > session.MaxRemembered {
			t.Fatalf("%d tokens", len(tokens))
		}
		again := session.SplitTokens(session.JoinTokens(tokens).Reveal())
		for i, token := range tokens {
			if _, _, ok := session.ParseToken(token); !ok || !again[i].Equal(token) || !strings.Contains(cookie, token.Reveal()) {
				t.Fatalf("token %d is not what was sent", i)
			}
		}
	})
}
