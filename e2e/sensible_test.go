package e2e

import (
	"context"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/visitor"
)

// People press twice, go back, open two tabs and leave pages open overnight. Nothing of it is an error of theirs.

func TestSecondPressOfEachButton(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ctx, v, ada := context.Background(), visitor.New(), c.person("ada.sample")
	page := c.open(v, c.BaseURL+"/signin")
	twice := func(button string, fields visitor.Fields) {
		t.Helper()
		first, err := page.Press(ctx, button, fields)
		must(t, err)
		second, err := page.Press(ctx, button, fields)
		must(t, err)
		if second.Status >= 500 {
			t.Fatalf("the second press of %q: status %d: %s", button, second.Status, second.Text())
		}
		page = first
	}
	twice("Continue", visitor.Fields{"Username or email address": ada.Username})
	twice("Continue", visitor.Fields{"Password": ada.Password})
	twice("Sign in", visitor.Fields{"Passcode": c.code(ada)})
	if !signedIn(page) || !signedIn(c.open(v, c.BaseURL+"/apps")) {
		t.Errorf("not signed in after pressing twice: %s", page.Text())
	}
}

func TestPageLeftOpenOvernight(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada, tab := c.person("ada.sample"), newTab(t)
	must(t, tab.Open(c.app("Library")))
	enter(t, tab)
	must(t, tab.Wait("Username or email address"))
	c.later("1 day")
	must(t, tab.Fill("Username or email address", ada.Username))
	must(t, tab.Click("Continue"))
	must(t, tab.Wait("This page waited too long"))
	must(t, tab.Click("Go on"))
	c.password(tab, ada)
	must(t, tab.Wait("Enter your passcode"))
	c.later("1 day")
	must(t, tab.Fill("Passcode", c.code(ada)))
	must(t, tab.Click("Sign in"))
	must(t, tab.Wait("This page waited too long"))
	must(t, tab.Click("Go on"))
	c.password(tab, ada)
	c.passcode(tab, ada)
	// Where it was begun: at the Library, although the Library itself may have forgotten by now.
	must(t, tab.WaitURL("/callback", c.app("Library")))
	tab.Problems() // pages that have expired are errors to the console
}

func TestBackButtonAndTwoTabs(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada, one := c.person("ada.sample"), newTab(t)
	two, err := one.Another()
	must(t, err)
	defer two.Close()
	must(t, one.Open(c.BaseURL+"/signin"))
	must(t, two.Open(c.app("Library")))
	enter(t, two)
	must(t, two.Wait("to go on to Library"))
	c.password(one, ada)
	must(t, one.Wait("Enter your passcode"))
	must(t, one.Back())
	must(t, one.Wait("Enter your password", "Username or email address", "waited too long"))
	must(t, one.Open(c.BaseURL+"/signin"))
	c.password(one, ada)
	c.passcode(one, ada)
	must(t, one.WaitURL("/apps"))

	// The other tab knows nothing of it yet, and comes to its own end.
	must(t, two.Fill("Username or email address", ada.Username))
	must(t, two.Click("Continue"))
	c.finish(two, ada, "Welcome to your library, Ada Sample")
	must(t, one.Back())
	must(t, one.Wait("Username or email address", "Enter your password", "Enter your passcode", "waited too long", "Library"))
	one.Problems() // what was answered before may be refused, which is an error to the console
}
