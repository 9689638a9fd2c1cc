package visitor

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func server(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.SetCookie(w, &http.Cookie{Name: "__Host-good", Value: "1", Secure: true, Path: "/"})
			http.SetCookie(w, &http.Cookie{Name: "__Host-bad", Value: "1", Path: "/"})
			fmt.Fprint(w, `<form method="post" action="/in"><input type="hidden" name="ref" value="r&amp;1"><label for="a">User name</label><input id="a" name="user">
<label><input type="checkbox" name="keep" value="yes">Keep me</label><button name="go" value="on">Sign in</button><button name="go" value="off">Cancel</button></form>
<noscript><p>No scripts here</p></noscript><p hidden>unseen</p>`)
		case "/in":
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			http.Redirect(w, r, "/end?"+r.PostForm.Encode()+"&origin="+r.Header.Get("Origin"), http.StatusSeeOther)
		case "/end":
			fmt.Fprintf(w, `<p>%s cookie=%s from=%s</p><a href="/">Again</a>`, r.URL.Query().Encode(), r.Header.Get("Cookie"), r.Header.Get("Sec-Fetch-Site"))
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestFormsAreSentAsABrowserSendsThem(t *testing.T) {
	base, ctx := server(t), context.Background()
	v := New()
	p, err := v.Open(ctx, base+"/")
	if err != nil {
		t.Fatal(err)
	}
	if !p.Says("no scripts here") || p.Says("unseen") {
		t.Errorf("the page says %q", p.Text())
	}
	if _, err := p.Press(ctx, "Sign in", Fields{"Telephone": "1"}); err == nil {
		t.Error("a field that is not there was filled")
	}
	end, err := p.Press(ctx, "Sign in", Fields{"User name": "ada", "Keep me": "on"})
	if err != nil {
		t.Fatal(err)
	}
	want := "go=on&keep=yes&origin=" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(base) + "&ref=r%261&user=ada cookie=__Host-good=1 from="
	if strings.TrimSpace(strings.TrimSuffix(end.Text(), "Again")) != want {
		t.Errorf("sent\n%s, wanted\n%s", end.Text(), want)
	}
	if got := v.Refused(); len(got) != 1 || !strings.HasPrefix(got[0], "__Host-bad") {
		t.Errorf("refused cookies %q", got)
	}
	if again, err := end.Press(ctx, "Again", nil); err != nil || again.URL.Path != "/" {
		t.Errorf("the link led to %v, %v", again, err)
	}
}
