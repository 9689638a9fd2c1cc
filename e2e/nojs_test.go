package e2e

import (
	"context"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/visitor"
)

// Everything but WebAuthn works without JavaScript: signing in to an application, the security page, a change with its
// proof, signing out.
func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ctx, v, ada := context.Background(), visitor.New(), c.person("ada.sample")
	var page *visitor.Page
	step := func(p *visitor.Page, err error) {
		t.Helper()
		must(t, err)
		page = p
	}
	want := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !page.Says(text) {
				t.Fatalf("%s (status %d) does not say %q: %s", page.URL, page.Status, text, page.Text())
			}
		}
	}
	step(v.Open(ctx, c.app("Library")))
	step(page.Press(ctx, "Sign in with your campus account", nil))
	want("Sign in", "to go on to Library", "Passkeys need JavaScript")
	step(page.Press(ctx, "Continue", visitor.Fields{"Username or email address": ada.Username}))
	want("Enter your password")
	step(page.Press(ctx, "Continue", visitor.Fields{"Password": "wrong " + ada.Password}))
	want("That did not work")
	step(page.Press(ctx, "Continue", visitor.Fields{"Password": ada.Password}))
	want("Enter your passcode")
	step(page.Press(ctx, "Sign in", visitor.Fields{"Passcode": c.code(ada)}))
	want("Welcome to your library, Ada Sample")

	step(v.Open(ctx, c.BaseURL+"/security"))
	want("How you sign in", "Passcode app")
	step(page.Press(ctx, "Rename", nil))
	for range 2 { // the change wants both proofs, named for it
		want("To rename “Passcode app”, confirm it is you")
		if page.Says("Enter your password") {
			step(page.Press(ctx, "Continue", visitor.Fields{"Password": ada.Password}))
		} else {
			step(page.Press(ctx, "Continue", visitor.Fields{"Passcode": c.code(ada)}))
		}
	}
	want("New name")
	step(page.Press(ctx, "Save the name", visitor.Fields{"New name": "Old telephone"}))
	want("The new name is saved", "Old telephone")
	step(v.Open(ctx, c.BaseURL+"/signout"))
	step(page.Press(ctx, "Sign out", nil))
	step(v.Open(ctx, c.BaseURL+"/security"))
	want("Username or email address")
	if refused := v.Refused(); len(refused) > 0 {
		t.Errorf("cookies that no browser takes: %q", refused)
	}
}
