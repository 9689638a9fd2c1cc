package web

import (
	"bytes"
	"html"
	"strings"
	"testing"
)

// The page that is kept ready is, for a reader of HTML, the one that the template writes.
func TestFront(t *testing.T) {
	p, err := NewPages(Campus{Name: "North", HomeURL: "https://www.example.ac.uk"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	page := func(change func(*identifyPage)) *identifyPage {
		k := frontKey{lang: "en", title: "Sign in", help: "signin", app: `Library "A & B"`, wayOut: p.campus.HomeURL, topic: "signin"}
		pg := k.fresh("a_ref-1", `{"challenge":"x<y'&+"}`, "/signin/name?attempt=a_ref-1")
		if change != nil {
			change(&pg)
		}
		return &pg
	}
	for name, c := range map[string]struct {
		change func(*identifyPage)
		ready  bool
	}{
		"fresh":               {nil, true},
		"another attempt":     {func(pg *identifyPage) { pg.Attempt = "b" }, true},
		"another challenge":   {func(pg *identifyPage) { pg.Passkey = `{"challenge":"z"}` }, true},
		"another application": {func(pg *identifyPage) { pg.App = "Records" }, true},
		"no application":      {func(pg *identifyPage) { pg.App = "" }, true},
		"a name":              {func(pg *identifyPage) { pg.Name = "ada" }, false},
		"a problem":           {func(pg *identifyPage) { pg.Problem = &Problem{Text: "No."} }, false},
		"a session":           {func(pg *identifyPage) { pg.SignedIn = true }, false},
		"an act":              {func(pg *identifyPage) { pg.Act = "To remove it." }, false},
		"no passkeys":         {func(pg *identifyPage) { pg.Passkey, pg.Passkeys = "", false }, false},
		"an odd attempt":      {func(pg *identifyPage) { pg.Attempt = `"><script>` }, false},
	} {
		for range 2 {
			var got, want bytes.Buffer
			done, err := p.writeFront(&got, page(c.change))
			if err != nil || done != c.ready {
				t.Errorf("%s: ready %v %v", name, done, err)
			}
			if err := p.execute(&want, page(c.change)); err != nil {
				t.Fatal(err)
			}
			if done && html.UnescapeString(got.String()) != html.UnescapeString(want.String()) {
				t.Errorf("%s: differs from its template:\n%s\n%s", name, &got, &want)
			}
			if done && strings.ContainsAny(strings.Split(got.String(), `data-options="`)[1][:len(page(c.change).Passkey)], `<>'`) {
				t.Errorf("%s: the challenge is not escaped", name)
			}
		}
	}
	for i := range 2 * maxFronts {
		var buf bytes.Buffer
		if err := p.write(&buf, page(func(pg *identifyPage) { pg.App = strings.Repeat("x", i+1) })); err != nil || buf.Len() == 0 {
			t.Fatal(err)
		}
	}
	if len(p.fronts.ready) > maxFronts {
		t.Errorf("%d pages are kept", len(p.fronts.ready))
	}
}
