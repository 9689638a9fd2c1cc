package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const trial = `<!doctype html><html lang="en"><head><title>Trial</title><style>
:focus-visible { outline: 3px solid #005ea5 } .ringless:focus-visible { outline: none }</style></head><body><main><h1>Trial</h1>
<form action="/done"><label for="n">Your name</label> <input id="n" name="n"> <button>Continue</button> <button class="ringless" type="button">Dim</button></form>
%s</main></body></html>`

func open(t *testing.T, body string) *Tab {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'; script-src 'none'")
		switch r.URL.Path {
		case "/":
			fmt.Fprintf(w, trial, body)
		case "/done":
			fmt.Fprintf(w, trial, "<p>Welcome, "+r.FormValue("n")+"</p>")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b, err := Start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	tab, err := b.Tab()
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.Open(server.URL + "/"); err != nil {
		t.Fatal(err)
	}
	return tab
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMouseAndKeyboard(t *testing.T) {
	tab := open(t, "")
	check(t, tab.Fill("Your name", "Ada"))
	check(t, tab.Click("Continue"))
	check(t, tab.Wait("Welcome, Ada"))
	check(t, tab.Back())
	check(t, tab.Gone("Welcome"))
	check(t, tab.Reload())
	check(t, tab.TabTo("Your name"))
	check(t, tab.Type("Grace"))
	check(t, tab.Press("Enter"))
	check(t, tab.Wait("Welcome, Grace"))
	if got := tab.Problems(); len(got) > 0 && !strings.Contains(strings.Join(got, " "), "favicon") {
		t.Errorf("problems on a sound page: %q", got)
	}
}

func TestFaultsAreSeen(t *testing.T) {
	tab := open(t, `<img src="/static/x.png"><script>document.title = "ran"</script>`)
	problems := strings.Join(tab.Problems(), "\n")
	if !strings.Contains(problems, "Content Security Policy") || !strings.Contains(problems, "404") {
		t.Errorf("a blocked script and a missing picture were not noticed: %q", problems)
	}
	found, err := tab.Axe("../node_modules/axe-core/axe.min.js")
	check(t, err)
	var serious []string
	for _, f := range found {
		if f.Serious() {
			serious = append(serious, f.ID)
		}
	}
	if len(serious) != 1 || serious[0] != "image-alt" {
		t.Errorf("serious findings %q, wanted the picture without a text", serious)
	}
	if err := tab.TabTo("Dim"); err == nil || !strings.Contains(err.Error(), "does not show it") {
		t.Errorf("a button without a focus ring was not noticed: %v", err)
	}
}

func TestAuthenticatorKeepsAPasskey(t *testing.T) {
	tab := open(t, "")
	// A passkey wants a name, not an address.
	url, err := tab.URL()
	check(t, err)
	check(t, tab.Open(strings.Replace(url, "127.0.0.1", "localhost", 1)))
	key, err := tab.Authenticator(true)
	check(t, err)
	id, err := Eval[string](tab, `navigator.credentials.create({publicKey: {rp: {id: 'localhost', name: 'x'}, challenge: new Uint8Array(16),
  user: {id: new Uint8Array([1]), name: 'ada', displayName: 'Ada'}, pubKeyCredParams: [{type: 'public-key', alg: -7}],
  authenticatorSelection: {residentKey: 'required', userVerification: 'required'}}}).then(c => c.id)`)
	check(t, err)
	have, err := key.Credentials()
	check(t, err)
	if id == "" || len(have) != 1 || !have[0].IsResidentCredential {
		t.Fatalf("created %q, kept %+v", id, have)
	}
	check(t, key.Unplug())
}
