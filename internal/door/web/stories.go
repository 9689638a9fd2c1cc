package web

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/policy"
)

// Story is one page in one state, for looking at and for tests. Its people are invented.
type Story struct {
	Page, State string
	make        func(p *Pages) page
}

// Name is "page-state", also the file's name.
func (s Story) Name() string { return s.Page + "-" + s.State }

// Render gives the story's page.
func (s Story) Render(p *Pages) ([]byte, error) {
	var buf bytes.Buffer
	if err := p.write(&buf, s.make(p)); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(), err)
	}
	return buf.Bytes(), nil
}

// storyCampus is the institution of the stories.
var storyCampus = Campus{Name: "University of Example", HelpName: "IT service desk", HelpPhone: "01632 960 000",
	HelpMail: "help@example.ac.uk", HelpURL: "https://www.example.ac.uk/it", HomeURL: "https://www.example.ac.uk"}

// WriteStories writes every page in every state into dir, with an index and the static files. Addresses are
// relative to the root of a server: ServeStories serves the same.
func WriteStories(dir string) error {
	files, err := storyFiles()
	if err != nil {
		return err
	}
	for at, content := range files {
		to := filepath.Join(dir, filepath.FromSlash(at))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ServeStories serves the storybook at addr until it fails.
func ServeStories(addr string) error {
	files, err := storyFiles()
	if err != nil {
		return err
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.URL.Path
		if at == "/" {
			at = "/index.html"
		}
		content, ok := files[at]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, at, time.Time{}, bytes.NewReader(content))
	})
	srv := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 10 * time.Second}
	return srv.ListenAndServe()
}

func storyFiles() (map[string][]byte, error) {
	p, err := NewPages(storyCampus, nil)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, at := range p.Static.Addresses() {
		files[at], _ = p.Static.Content(at)
	}
	index := bytes.NewBufferString("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Storybook</title><h1>Storybook</h1><ul>")
	for _, s := range Stories() {
		html, err := s.Render(p)
		if err != nil {
			return nil, err
		}
		files["/"+s.Name()+".html"] = html
		fmt.Fprintf(index, "<li><a href=\"/%s.html\">%s: %s</a>", s.Name(), s.Page, s.State)
	}
	files["/index.html"] = index.Bytes()
	return files, nil
}

const (
	storyAttempt = "c2VhbGVkLWF0dGVtcHQ"
	storyAsk     = `{"publicKey":{"challenge":"AAAA","rpId":"localhost","userVerification":"required"}}`
	storyCreate  = `{"publicKey":{"challenge":"AAAA","rp":{"id":"localhost","name":"Example"},"user":{"id":"AAAA","name":"ada","displayName":"Ada Example"},"pubKeyCredParams":[{"type":"public-key","alg":-7}]}}`
)

// storyAsked is what the sign-in stories share.
func storyAsked(p *Pages, titleKey string) ask {
	a := ask{Attempt: storyAttempt, WayOut: "/signin", Restart: "/signin/name?attempt=" + storyAttempt, Topic: "signin"}
	a.Lang, a.Title = "en", p.Texts.Text("en", titleKey, nil)
	return a
}

func storyChoice(p *Pages, k method.Kind) Choice {
	key := "method." + string(k)
	return Choice{Kind: k, Name: p.Texts.Text("en", key+".name", nil), Short: p.Texts.Text("en", key+".short", nil),
		Long: p.Texts.Text("en", key+".long", nil)}
}

func storyProve(p *Pages, k method.Kind) *provePage {
	v := &provePage{ask: storyAsked(p, "method."+string(k)+".prove"), Kind: k}
	v.Who, v.App, v.Topic = "ada.example", "Library", string(k)
	for _, o := range []method.Kind{method.Passkey, method.TOTP} {
		if o != k {
			v.Others = append(v.Others, storyChoice(p, o))
		}
	}
	v.Why = []Why{p.Texts.Reason("en", policy.Reason{Rule: "Library: everybody", Code: "strength", Params: map[string]any{"strength": "mfa"}})}
	if k == method.Passkey {
		v.Passkey, v.Passkeys = storyAsk, true
	}
	return v
}

func storyFault(code string) *fault.Error { return fault.New(fault.BadInput, code, "") }

// Stories lists every page in every state.
func Stories() []Story {
	return slices.Concat(identifyStories(), proveStories(), phoneStories(), pairingStories(), numberStories(), endStories(), securityStories(), enrolStories(), welcomeStories(), otherStories())
}

// identifyStories ask for a name.
func identifyStories() []Story {
	identify := func(p *Pages) *identifyPage {
		v := &identifyPage{ask: storyAsked(p, "signin.title"), FocusName: true}
		v.Passkey, v.Passkeys, v.WayOut = storyAsk, true, "https://www.example.ac.uk"
		return v
	}
	return []Story{
		{"identify", "first", func(p *Pages) page { return identify(p) }},
		{"identify", "application", func(p *Pages) page { v := identify(p); v.App = "Patient records"; return v }},
		{"identify", "empty-name", func(p *Pages) page {
			v := identify(p)
			v.Problem = p.problem("en", storyFault("signin.name_missing"), "name")
			return v
		}},
		{"identify", "unknown-passkey", func(p *Pages) page {
			v := identify(p)
			v.Problem, v.PasskeyUnknown = p.problem("en", storyFault("signin.passkey_unknown"), ""), true
			return v
		}},
		{"identify", "no-passkeys", func(p *Pages) page { v := identify(p); v.Passkey, v.Passkeys = "", false; return v }},
	}
}

// proveStories ask for a proof.
func proveStories() []Story {
	return []Story{
		{"password", "first", func(p *Pages) page {
			v := storyProve(p, method.Password)
			v.Passkey, v.Passkeys = storyAsk, true
			v.Others, v.Why = v.Others[:1], nil
			return v
		}},
		{"password", "wrong", func(p *Pages) page {
			v := storyProve(p, method.Password)
			v.Problem = p.problem("en", storyFault("signin.wrong"), "answer")
			return v
		}},
		{"password", "too-many", func(p *Pages) page {
			v := storyProve(p, method.Password)
			v.Problem = p.problem("en", storyFault("signin.too_many"), "answer")
			return v
		}},
		{"passcode", "first", func(p *Pages) page { v := storyProve(p, method.TOTP); v.RememberDays = 30; return v }},
		{"passcode", "wrong", func(p *Pages) page {
			v := storyProve(p, method.TOTP)
			v.Problem = p.problem("en", storyFault("signin.wrong"), "answer")
			return v
		}},
		{"passkey", "first", func(p *Pages) page { return storyProve(p, method.Passkey) }},
		{"passkey", "remember", func(p *Pages) page { v := storyProve(p, method.Passkey); v.RememberDays = 30; return v }},
		{"passkey", "refused", func(p *Pages) page {
			v := storyProve(p, method.Passkey)
			v.Problem = p.problem("en", storyFault("passkey.counter_regressed"), "")
			return v
		}},
		{"passkey", "act", func(p *Pages) page {
			v := storyProve(p, method.Passkey)
			v.App, v.Session, v.WayOut = "", true, "/security"
			v.Act = p.Texts.Text("en", "act.method.remove", map[string]any{"Name": "Blue phone"})
			v.Why = []Why{p.Texts.Reason("en", policy.Reason{Rule: policy.RuleAct, Code: "act.proof"})}
			return v
		}},
	}
}

// storyMissing is a refusal that a method would lift.
func storyMissing(p *Pages) *refusedPage {
	v := &refusedPage{ask: storyAsked(p, "refused.missing_title"), Add: method.Passkey, AddName: p.Texts.Text("en", "method.passkey.add", nil)}
	v.App, v.Session = "Patient records", true
	v.Why = []Why{p.Texts.Reason("en", policy.Reason{Rule: "Patient records: phishing-resistant", Code: "no_method"})}
	return v
}

// endStories are where a sign-in ends without one.
func endStories() []Story {
	return []Story{
		{"refused", "application", func(p *Pages) page {
			v := &refusedPage{ask: storyAsked(p, "refused.title")}
			v.App = "Patient records"
			v.Why = []Why{p.Texts.Reason("en", policy.Reason{Rule: "Patient records: staff only", Code: "blocked"}),
				p.Texts.Reason("en", policy.Reason{Rule: "Patient records: phishing-resistant", Code: "no_method", Params: map[string]any{"strength": "phishing-resistant"}})}
			return v
		}},
		{"refused", "stronger-method", func(p *Pages) page {
			v := storyMissing(p)
			v.AddURL = "/security/add/passkey"
			return v
		}},
		{"refused", "needs-invitation", func(p *Pages) page {
			v := storyMissing(p)
			v.Invited = true
			return v
		}},
		{"expired", "goes-on", func(p *Pages) page { return &expiredPage{ask: storyAsked(p, "expired.title")} }},
		{"expired", "lost", func(p *Pages) page {
			v := &expiredPage{ask: storyAsked(p, "expired.title")}
			v.Attempt = ""
			return v
		}},
	}
}

func otherStories() []Story {
	out := []Story{
		{"help", "without-rules", func(p *Pages) page { return p.helpPage("en", false, nil) }},
		{"help", "anybody", func(p *Pages) page { return p.helpPage("en", false, storyAnswers(policy.Person{}, 3)) }},
		{"help", "yours", func(p *Pages) page { return p.helpPage("en", true, storyAnswers(storyAdministrator, 0)) }},
		{"help", "many-applications", func(p *Pages) page { return p.helpPage("en", false, storyAnswers(policy.Person{}, 40)) }},
		{"help", "no-applications", func(p *Pages) page { return p.helpPage("en", false, storyAnswers(policy.Person{}, -1)) }},
		{"signout", "here", func(p *Pages) page {
			v := &signOutPage{Button: p.Texts.Text("en", "signout.button", nil)}
			v.Title = p.Texts.Text("en", "signout.title", nil)
			return v
		}},
		{"signout", "everywhere", func(p *Pages) page {
			v := &signOutPage{Everywhere: true, Button: p.Texts.Text("en", "signout.button_everywhere", nil)}
			v.Title = p.Texts.Text("en", "signout.title_everywhere", nil)
			return v
		}},
		{"signout", "done", func(p *Pages) page {
			v := &messagePage{Lines: []string{p.Texts.Text("en", "signout.done", nil), p.Texts.Text("en", "signout.done_apps", nil)},
				Next: "/signin", NextText: p.Texts.Text("en", "signout.again", nil)}
			v.Title = p.Texts.Text("en", "signout.done_title", nil)
			return v
		}},
		{"formpost", "button", func(p *Pages) page {
			v := &formPostPage{Action: "https://library.example.ac.uk/callback", Fields: []field{{"code", "x"}, {"state", "y"}}}
			v.Title = p.Texts.Text("en", "formpost.title", nil)
			return v
		}},
		{"framed", "body", func(p *Pages) page {
			v := &framedPage{Body: "<div class=\"card stack\"><h1>Another door’s page</h1><p>In our frame.</p></div>"}
			v.Title, v.Wide = "Another door’s page", true
			return v
		}},
		{"logout", "confirm", func(p *Pages) page {
			v := &logoutPage{App: "Library", Action: "/oauth2/logout", Fields: []field{{"request", "z"}}}
			v.Title = p.Texts.Text("en", "logout.title", nil)
			return v
		}},
	}
	for status, code := range map[int]string{400: "request.form", 401: "session.ended", 403: "request.cross_site", 404: "request.not_found",
		405: "request.method", 409: "method.last", 410: "signin.expired", 413: "request.too_large", 415: "request.content_type",
		421: "request.host", 429: "request.flood", 500: "internal", 503: "password.busy"} {
		out = append(out, Story{"error", fmt.Sprint(status), func(p *Pages) page { return p.errorPage("en", status, storyFault(code), "k3f9x-1a") }})
	}
	return out
}
