package web

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// sources gives the text of every Go file under dir that is no test.
func sources(t *testing.T, dirs ...string) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || !(strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".html") || strings.HasSuffix(path, ".part")) {
				return err
			}
			raw, err := os.ReadFile(path)
			all.Write(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func texts(t *testing.T) *Texts {
	t.Helper()
	x, err := LoadTexts()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

var (
	kinds = []method.Kind{method.Password, method.Passkey, method.TOTP, method.App, method.Phone, method.Recovery}
	acts  = []policy.Act{policy.ActRefreshSignIn, policy.ActMethodAdd, policy.ActMethodRemove, policy.ActMethodRename, policy.ActMethodLead,
		policy.ActPasswordChange, policy.ActBrowserForget, policy.ActSecurityPage}
	keyUse = regexp.MustCompile(`(?:\{\{tn? |[sx]\.text\(c, |exts?\.(?:Text|Count)\((?:lang|"en"|pg\.Lang|c\.Locale), |\bt\.(?:Text|Count)\(lang, |Key: |\bt\()"([a-z][a-z0-9_.-]*)"`)
	// faultUse finds the codes of faults; codeUse those that rooms give to the page otherwise.
	faultUse = regexp.MustCompile(`fault\.New\([a-zA-Z.]+,\s*"([a-z0-9_.]+)"`)
)

// TestEveryTextIsThere: what templates and handlers ask for is in the catalogue.
func TestEveryTextIsThere(t *testing.T) {
	x := texts(t)
	for _, m := range keyUse.FindAllStringSubmatch(sources(t, "."), -1) {
		if key := m[1]; !strings.HasSuffix(key, ".") && !x.Has(key) {
			t.Errorf("missing: %s", key)
		}
	}
	for _, k := range kinds {
		for _, suffix := range []string{".name", ".short", ".long", ".prove", ".add"} {
			if !x.Has("method." + string(k) + suffix) {
				t.Errorf("missing: method.%s%s", k, suffix)
			}
		}
		if !x.Has("done.added."+string(k)) || !x.Has("welcome.ready."+string(k)) {
			t.Errorf("missing: done.added.%s or welcome.ready.%s", k, k)
		}
		if k != method.Password && !x.Has("remove."+string(k)) {
			t.Errorf("missing: remove.%s", k)
		}
		if _, drawn := icons[string(k)]; !drawn {
			t.Errorf("no picture of %s", k)
		}
	}
	for _, a := range acts {
		if !x.Has("act." + string(a)) {
			t.Errorf("missing: act.%s", a)
		}
	}
	for _, id := range helpTopics {
		if !x.Has("help." + id + ".title") {
			t.Errorf("missing: help.%s", id)
		}
	}
}

// TestEveryFaultHasAText: each code that a member can meet has words, and no words are left over.
func TestEveryFaultHasAText(t *testing.T) {
	x := texts(t)
	members := sources(t, "../../fault", "../../people", "../../signin", "../../enrol", "../../session", "../../method", "../httpdoor", ".")
	for _, m := range faultUse.FindAllStringSubmatch(members, -1) {
		if !x.Has("error." + m[1]) {
			t.Errorf("missing: error.%s", m[1])
		}
	}
	everywhere := sources(t, "../..")
	for _, key := range x.Keys("error.") {
		if code := strings.TrimPrefix(key, "error."); !strings.Contains(everywhere, `"`+code+`"`) && !strings.HasPrefix(code, "oauth.") {
			t.Errorf("unused: %s", key)
		}
	}
	rooms := sources(t, "../../policy", "../../signin")
	for _, key := range x.Keys("reason.") {
		if code := strings.TrimPrefix(key, "reason."); !strings.Contains(rooms, `"`+code+`"`) {
			t.Errorf("unused: %s", key)
		}
	}
	flows := sources(t, "../../signin", "../../enrol", "../../manage", "../../device", "../../method") + `"code.text" "code.voice"` // "code."+channel
	for _, key := range x.Keys("notice.") {
		kind := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(key, "notice."), ".subject"), ".body")
		if kind != "general" && !strings.Contains(flows, `"`+kind+`"`) {
			t.Errorf("unused: %s", key)
		}
		if !x.Has("notice."+kind+".subject") || !x.Has("notice."+kind+".body") {
			t.Errorf("notice %s is half", kind)
		}
	}
}

// TestNoTextIsLeftOver: what nothing asks for goes.
func TestNoTextIsLeftOver(t *testing.T) {
	here := sources(t, ".")
	computed := []string{"error.", "reason.", "notice.", "method.", "act.", "help.", "status.", "strength.", "done.added.", "welcome.ready.",
		"remove.", "recent.", "asks.", "app.over."}
	for _, key := range texts(t).Keys("") {
		if slices.ContainsFunc(computed, func(p string) bool { return strings.HasPrefix(key, p) }) {
			continue
		}
		if !strings.Contains(here, `"`+key+`"`) {
			t.Errorf("unused: %s", key)
		}
	}
}

// TestEveryTextHasANote for its translator, and no exclamation marks or jargon for members.
func TestEveryTextHasANote(t *testing.T) {
	raw, err := localeFiles.ReadFile("locale/en.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct{ Description, One, Other string }
	if err := yaml.UnmarshalWithOptions(raw, &all, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	jargon := regexp.MustCompile(`(?i)\b(FIDO|OTP|TOTP|RP|assertion|authenticator data|relying party|oops|invalid|please contact)\b|!`)
	for key, m := range all {
		if m.Description == "" || m.Other == "" {
			t.Errorf("%s lacks its note or its text", key)
		}
		if word := jargon.FindString(m.Other); word != "" {
			t.Errorf("%s says %q", key, word)
		}
	}
}

func TestFaultsReasonsAndNotices(t *testing.T) {
	x := texts(t)
	if got := x.Fault("en", fault.New(fault.BadInput, "password.too_short", "").With("min", 15)); got != "Too short: use at least 15 characters." {
		t.Error(got)
	}
	if got := x.Fault("en", fault.New(fault.BadInput, "never.heard_of", "Its own sentence.")); got != "Its own sentence." {
		t.Error(got)
	}
	why := x.Reason("en", policy.Reason{Rule: policy.RuleDefault, Code: "freshness.max_age", Params: map[string]any{"minutes": 480}})
	if why.Text != "Your last proof here may be at most 8 hours old." || why.Rule != "the usual rule" {
		t.Errorf("%+v", why)
	}
	subject, body := x.Notice("method.added", "nl-BE", map[string]string{"name": "Ada", "label": "Key\r\nBcc: everybody@example.ac.uk", "method": "passkey",
		"at": "2026-11-20T09:41:00Z", "address": "192.0.2.1", "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"})
	if strings.ContainsAny(subject, "\r\n") || !strings.Contains(body, "KeyBcc: everybody@example.ac.uk (Passkey)") ||
		!strings.Contains(body, "20 Nov 2026, 09:41 UTC") || !strings.Contains(body, "Firefox on Linux, 192.0.2.1") {
		t.Errorf("%s\n%s", subject, body)
	}
	for _, label := range []string{"", "recovery", "Recovery codes"} { // a name that nobody gave it is not said twice
		_, body := x.Notice("method.added", "en", map[string]string{"label": label, "method": "recovery"})
		if !strings.Contains(body, "to your account: Recovery codes.\n") {
			t.Errorf("%q: %s", label, body)
		}
	}
	if _, body := x.Notice("unheard.of", "", nil); !strings.Contains(body, "Security page") {
		t.Error(body)
	}
	for accept, want := range map[string]string{"": "en", "fr-BE,nl;q=0.5": "en", "en-GB": "en", strings.Repeat("x-", 10000): "en", ";;;": "en"} {
		if got := x.Locale(accept); got != want {
			t.Errorf("%.20q: %s", accept, got)
		}
	}
}
