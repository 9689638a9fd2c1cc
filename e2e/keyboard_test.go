package e2e

import "testing"

// Nobody needs a mouse: the Tab key comes to everything in order, and shows where it is.
func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada, tab := c.person("ada.sample"), newTab(t)
	must(t, tab.Open(c.BaseURL+"/signin"))
	must(t, tab.TabTo("Username or email address"))
	must(t, tab.Type(ada.Username))
	must(t, tab.Press("Enter"))
	must(t, tab.Wait("Enter your password"))
	must(t, tab.TabTo("Password"))
	must(t, tab.Type(ada.Password))
	must(t, tab.TabTo("Continue"))
	must(t, tab.Press("Space"))
	must(t, tab.Wait("Enter your passcode"))
	must(t, tab.TabTo("Passcode"))
	must(t, tab.Type(c.code(ada)))
	must(t, tab.Press("Enter"))
	must(t, tab.WaitURL("/apps"))

	// The first stop of every page leads past what repeats.
	must(t, tab.TabTo("Skip to the main part"))
	must(t, tab.TabTo("Security"))
	must(t, tab.Press("Enter"))
	must(t, tab.WaitURL("/security"))
	must(t, tab.TabTo("Add a method"))
	must(t, tab.Press("Enter"))
	must(t, tab.WaitURL("/security/add"))
}
