package e2e

import "testing"

// The pages as they are served, with their policy and headers, and those that only the demonstration has.
func TestLivePagesAreAccessible(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada, tab := c.person("ada.sample"), newTab(t)
	look := func(address, says string) {
		t.Helper()
		must(t, tab.Open(address))
		must(t, tab.Wait(says))
		openAll(t, tab)
		accessible(t, tab, address)
	}
	look(c.BaseURL+"/signin", "Username or email address")
	look(c.BaseURL+"/help", "Help")
	look(c.BaseURL+"/demo", "Try the campus")
	look(c.app("Library"), "Library")
	look(c.app("Patient records"), "Patient records")
	c.signIn(tab, ada)
	look(c.BaseURL+"/apps", "Library")
	look(c.BaseURL+"/security", "How you sign in")
	look(c.BaseURL+"/security/add", "Add a method")
	must(t, tab.Open(c.app("Library")))
	enter(t, tab)
	must(t, tab.Wait("Welcome to your library"))
	openAll(t, tab)
	accessible(t, tab, "the Library, signed in")
}
