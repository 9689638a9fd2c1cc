package demo

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestClockMovesForwardOnlyAndIsKept(t *testing.T) {
	dir := t.TempDir()
	c, err := OpenClock(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []time.Duration{0, -time.Hour, MaxAhead + 1} {
		if c.Move(by) == nil {
			t.Errorf("moved by %v", by)
		}
	}
	if err := c.Move(31 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := c.Move(time.Hour); err != nil {
		t.Fatal(err)
	}
	again, err := OpenClock(dir)
	if err != nil || again.Ahead() != 31*24*time.Hour+time.Hour {
		t.Errorf("kept %v, %v", again.Ahead(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clock"), []byte("-5"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenClock(dir); err == nil {
		t.Error("a clock that stands behind was taken")
	}
}

func TestFactsAreForTheirOwnerAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.json")
	f := Facts{BaseURL: "http://localhost:1", People: []Person{{Username: "ada", Groups: []string{}}}, AdminToken: "x"}
	if err := f.Write(file); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	raw, _ := os.ReadFile(file)
	for _, field := range []string{"base_url", "issuer", "people", "applications", "admin_token", "outbox_url", "username", "email", "password", "totp_secret", "groups"} {
		if !strings.Contains(string(raw), `"`+field+`"`) {
			t.Errorf("demo.json has no %s: %s", field, raw)
		}
	}
}

func TestPasscodeIsRFC6238s(t *testing.T) {
	// RFC 6238 appendix B, SHA-1, cut to six digits.
	secret := "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 2000000000: "279037"} {
		if code, left := Passcode(secret, time.Unix(at, 0)); code != want || left != 30-int(at%30) {
			t.Errorf("at %d: %s, %d s left; want %s", at, code, left, want)
		}
	}
	if code, _ := Passcode("", time.Now()); code != "" {
		t.Error("a passcode from nothing")
	}
}

func TestKnowSaysHowSurely(t *testing.T) {
	for _, tc := range []struct {
		acr    string
		amr    []any
		sure   string
		proofs int
		strong bool
	}{
		{"https://refeds.org/profile/mfa", []any{"pwd", "otp", "mfa"}, "two different proofs", 2, false},
		{"phr", []any{"hwk", "user"}, "cannot be phished", 2, true},
		{"", []any{"pwd"}, "one proof only", 1, false},
		{"", nil, "one proof only", 0, false},
		{"x", []any{"<b>", 7}, "two different proofs", 2, false},
	} {
		k := know(map[string]any{"acr": tc.acr, "amr": tc.amr, "sub": "s", "auth_time": float64(100)})
		if !strings.Contains(k.Sure, tc.sure) || len(k.Proofs) != tc.proofs || k.Strong != tc.strong || k.Name != "s" || k.At.Unix() != 100 {
			t.Errorf("%s %v: %+v", tc.acr, tc.amr, k)
		}
	}
}

// The back button after a sign-in leads to an address that was used: whoever is inside stays inside.
func TestUsedCallbackLeadsHome(t *testing.T) {
	site := &Sample{Kind: "library", URL: "http://127.0.0.1:1"}
	h, err := site.Handler()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("A", 26)
	for _, inside := range []bool{false, true} {
		want := http.StatusBadRequest
		if inside {
			site.sessions[id], want = guest{}, http.StatusSeeOther
		}
		r := httptest.NewRequest("GET", "/callback?state=used&code=x", nil)
		r.AddCookie(&http.Cookie{Name: site.cookie(), Value: id})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || inside && w.Header().Get("Location") != "/" {
			t.Errorf("inside %v: %d to %q", inside, w.Code, w.Header().Get("Location"))
		}
	}
}
