package web

import (
	"bytes"
	"html"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// frontAsk is what the first page and a page that asks for a proof share.
func frontAsk(passkey string) ask {
	a := ask{Attempt: "a_ref-1", App: `Library "A & B"`, Passkey: passkey, Restart: "/signin/name?attempt=a_ref-1", Topic: "signin"}
	a.Lang, a.Title, a.Help, a.Passkeys = "en", "Sign in", "signin", passkey != ""
	return a
}

func frontPages(t *testing.T) *Pages {
	t.Helper()
	p, err := NewPages(Campus{Name: "North", HomeURL: "https://www.example.ac.uk"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sameFront writes a page as it is kept ready, if it is, and by its template. For a reader of HTML they are the same, and
// nothing of the three values stands in it as it is.
func sameFront(t *testing.T, p *Pages, make func() page, ready bool) {
	t.Helper()
	for range 2 {
		var got, want bytes.Buffer
		done, err := p.writeFront(&got, make())
		if err != nil || done != ready {
			t.Errorf("ready %v %v", done, err)
		}
		if err := p.execute(&want, make()); err != nil {
			t.Fatal(err)
		}
		if done && html.UnescapeString(got.String()) != html.UnescapeString(want.String()) {
			t.Errorf("differs from its template:\n%s\n%s", &got, &want)
		}
		if done && strings.Contains(got.String(), "y'&+") {
			t.Error("a value is not escaped")
		}
		if f := p.fronts; done && (strings.Contains(got.String(), f.attempt) || strings.Contains(got.String(), f.passkey) || strings.Contains(got.String(), f.who)) {
			t.Error("a mark is left")
		}
	}
}

// The page that is kept ready is, for a reader of HTML, the one that the template writes.
func TestFront(t *testing.T) {
	p := frontPages(t)
	for name, c := range map[string]struct {
		change func(*identifyPage)
		ready  bool
	}{
		"fresh":               {func(*identifyPage) {}, true},
		"another attempt":     {func(pg *identifyPage) { pg.Attempt, pg.Restart = "b", "/signin/name?attempt=b" }, true},
		"another restart":     {func(pg *identifyPage) { pg.Restart = "/signin/name?attempt=b" }, false},
		"another challenge":   {func(pg *identifyPage) { pg.Passkey = `{"challenge":"z"}` }, true},
		"another application": {func(pg *identifyPage) { pg.App = "Records" }, true},
		"no application":      {func(pg *identifyPage) { pg.App = "" }, true},
		"another title":       {func(pg *identifyPage) { pg.Title = "Come in" }, true},
		"another language":    {func(pg *identifyPage) { pg.Lang = "tlh" }, true},
		"no passkeys":         {func(pg *identifyPage) { pg.Passkey, pg.Passkeys = "", false }, true},
		"signed in":           {func(pg *identifyPage) { pg.SignedIn = true }, true},
		"a name":              {func(pg *identifyPage) { pg.Name = "ada" }, false},
		"a problem":           {func(pg *identifyPage) { pg.Problem = &Problem{Text: "No."} }, false},
		"an act":              {func(pg *identifyPage) { pg.Act = "To remove it." }, false},
		"an answer to a form": {func(pg *identifyPage) { pg.Here = "/signin?attempt=a_ref-1" }, false},
		"an odd attempt": {func(pg *identifyPage) {
			pg.Attempt = `"><script>`
			pg.Restart = "/signin/name?attempt=" + pg.Attempt
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			sameFront(t, p, func() page {
				pg := &identifyPage{ask: frontAsk(`{"challenge":"x<y'&+"}`), FocusName: true}
				pg.WayOut = p.campus.HomeURL
				c.change(pg)
				return pg
			}, c.ready)
		})
	}
	for i := range 2 * maxFronts {
		var buf bytes.Buffer
		pg := &identifyPage{ask: frontAsk("{}")}
		pg.App = strings.Repeat("x", i+1)
		if err := p.write(&buf, pg); err != nil || buf.Len() == 0 {
			t.Fatal(err)
		}
	}
	if n := p.fronts.kept["identify"]; n > maxFronts {
		t.Errorf("%d pages are kept", n)
	}
}

// So are the pages that ask for a proof, around the name as well.
func TestFrontProve(t *testing.T) {
	p := frontPages(t)
	changes := map[string]struct {
		change func(*provePage)
		ready  bool
	}{
		"fresh":              {func(*provePage) {}, true},
		"another name":       {func(pg *provePage) { pg.Who = "grace" }, true},
		"no name":            {func(pg *provePage) { pg.Who = "" }, true},
		"no passkey":         {func(pg *provePage) { pg.Passkey, pg.Passkeys = "", false }, true},
		"other ways":         {func(pg *provePage) { pg.Others = []Choice{{Kind: "totp", Name: "A passcode", Short: "Six digits"}} }, true},
		"more other ways":    {func(pg *provePage) { pg.Others = append(pg.Others, Choice{Kind: "app"}, Choice{Kind: "recovery"}) }, true},
		"reasons":            {func(pg *provePage) { pg.Why = []Why{{"Because.", "staff"}} }, true},
		"other reasons":      {func(pg *provePage) { pg.Why = []Why{{"Because of that.", "staff"}} }, true},
		"to be remembered":   {func(pg *provePage) { pg.RememberDays = 30 }, true},
		"to be remembered +": {func(pg *provePage) { pg.RememberDays, pg.Remembered = 30, true }, true},
		"a session":          {func(pg *provePage) { pg.Session, pg.WayOut = true, "/apps" }, false},
		"a problem":          {func(pg *provePage) { pg.Problem = &Problem{Text: "No.", Field: "answer"} }, false},
		"an act":             {func(pg *provePage) { pg.Act = "To remove it." }, false},
		"a passkey unknown":  {func(pg *provePage) { pg.PasskeyUnknown = true }, false},
		"sent":               {func(pg *provePage) { pg.Sending = &sendingView{} }, false},
		"over":               {func(pg *provePage) { pg.Over = &overView{Icon: "alert"} }, false},
		"ways to send":       {func(pg *provePage) { pg.Ways = []wayView{{Via: "text:1", Text: "Text …123"}} }, false},
	}
	for _, kind := range []method.Kind{method.Password, method.TOTP, method.Passkey, method.App, method.Phone, method.Recovery} {
		for name, c := range changes {
			t.Run(string(kind)+"/"+name, func(t *testing.T) {
				sameFront(t, p, func() page {
					pg := &provePage{ask: frontAsk(`{"challenge":"x<y'&+"}`), Kind: kind}
					pg.Who, pg.WayOut = `"><b>ady'&+`, pg.Restart
					c.change(pg)
					return pg
				}, c.ready)
			})
		}
	}
}
