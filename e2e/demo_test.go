package e2e

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
)

func TestPasswordAndPasscodeOpenTheLibrary(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ada, tab := c.person("ada.sample"), newTab(t)
	must(t, tab.Open(c.app("Library")))
	must(t, tab.Click("Sign in with your campus account"))
	says(t, tab, "to go on to Library")
	c.password(tab, ada)
	must(t, tab.Click("Why was I asked?"))
	says(t, tab, "MFA for everybody")
	c.passcode(tab, ada)
	says(t, tab, "Welcome to your library, Ada Sample", "With two different proofs", "a password, a passcode from an authenticator app")

	// The other application wants more, and Ada has no passkey: she is told, by the rule's name.
	must(t, tab.Open(c.app("Patient records")))
	must(t, tab.Click("Sign in with your campus account"))
	says(t, tab, "One thing is missing")
	must(t, tab.Click("Why"))
	says(t, tab, "Clinical applications ask every time")
	silent(t, tab, "Good day")
	tab.Problems() // a refusal is an error to the console
}

// A person's first passkey, from a session with password and passcode, and what it opens.
func TestPasskeyIsAddedAndStepsUp(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	carla, tab := c.person("carla.fiction"), newTab(t)
	key, err := tab.Authenticator(true)
	must(t, err)
	c.signIn(tab, carla)
	addPasskey(t, c, tab, "Blue phone")
	have, err := key.Credentials()
	must(t, err)
	if len(have) != 1 || !have[0].IsResidentCredential {
		t.Fatalf("the authenticator keeps %d passkeys", len(have))
	}
	mails := c.outbox()
	if len(mails) == 0 || mails[0].To != carla.Email || !strings.Contains(mails[0].Body, "Blue phone (Passkey)") {
		t.Errorf("no mail tells of the new passkey: %+v", mails)
	}

	// One application asks for the passkey, every time; the other lets the session in.
	must(t, tab.Open(c.app("Patient records")))
	for range 2 {
		enter(t, tab)
		says(t, tab, "Good day, Carla Fiction", "cannot be phished")
		c.later("1 hour")
		must(t, tab.Click("Sign out"))
		must(t, tab.Wait("Sign in with your campus account")) // signed out here and there, and back
	}

	// A stranger's browser with the same passkey: autofill signs in without a name.
	other := newTab(t)
	copied, err := other.Authenticator(true)
	must(t, err)
	have, err = key.Credentials()
	must(t, err)
	must(t, copied.Take(have[0]))
	must(t, other.Open(c.BaseURL+"/signin"))
	must(t, other.WaitURL("/apps"))
	says(t, other, "Library")
	must(t, other.Open(c.BaseURL+"/security"))
	says(t, other, "Carla Fiction", "Blue phone")
}

// enter presses the sample application's button, if it has not let us in already.
func enter(t *testing.T, tab *browser.Tab) {
	t.Helper()
	must(t, tab.Click("Sign in with your campus account"))
}

// addPasskey walks through the wizard, with the proof that the act asks for.
func addPasskey(t *testing.T, c *campus, tab *browser.Tab, name string) {
	t.Helper()
	must(t, tab.Open(c.BaseURL+"/security"))
	says(t, tab, "How you sign in")
	must(t, tab.Click("Add a method"))
	must(t, tab.Click("Passkey"))
	c.prove(tab, c.person("carla.fiction"), "Name of this passkey")
	must(t, tab.Fill("Name of this passkey", name))
	must(t, tab.Click("Create the passkey"))
	says(t, tab, "Passkey added: "+name)
}

// What happens in 31 days? The remembered browser is asked again.
func TestRememberedBrowserIsAskedAgainAfter31Days(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ben, tab := c.person("ben.placeholder"), newTab(t)
	must(t, tab.Open(c.app("Library")))
	enter(t, tab)
	c.password(tab, ben)
	must(t, tab.Wait("Enter your passcode"))
	must(t, tab.Click("Don’t ask again on this browser for 30 days"))
	c.passcode(tab, ben)
	says(t, tab, "Welcome to your library, Ben Placeholder")

	c.later("1 day")
	c.later("1 day")
	must(t, tab.Open(c.BaseURL+"/signin"))
	c.password(tab, ben)
	must(t, tab.WaitURL("/apps"))

	c.later("31 days")
	must(t, tab.Open(c.BaseURL+"/signin"))
	c.password(tab, ben)
	must(t, tab.Wait("Enter your passcode"))
}

func TestInvitedAdministratorBeginsWithAPasskey(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	dev, tab := c.person("dev.example"), newTab(t)
	if dev.Invitation == "" {
		t.Fatal("the administrator was not invited")
	}
	_, err := tab.Authenticator(false)
	must(t, err)
	must(t, tab.Open(c.BaseURL+"/welcome"))
	must(t, tab.Fill("Code", dev.Invitation))
	must(t, tab.Click("Continue"))
	says(t, tab, "Welcome, Dev Example")
	must(t, tab.Click("Passkey"))
	must(t, tab.Fill("Name of this passkey", "Laptop"))
	must(t, tab.Click("Create the passkey"))
	says(t, tab, "You are set up")
	must(t, tab.Click("Sign in now"))
	must(t, tab.WaitURL("/apps")) // autofill: the passkey is on this device

	// The code has died with its use.
	again := newTab(t)
	must(t, again.Open(c.BaseURL+"/welcome"))
	must(t, again.Fill("Code", dev.Invitation))
	must(t, again.Click("Continue"))
	says(t, again, "There is a problem")
	again.Problems() // a refused form is an error to the console
}

func TestPasswordAloneIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ella, tab := c.person("ella.nobody"), newTab(t)
	must(t, tab.Open(c.BaseURL+"/signin"))
	c.password(tab, ella)
	says(t, tab, "One thing is missing", "invitation code")
	must(t, tab.Click("Why"))
	says(t, tab, "MFA for everybody")
	tab.Problems() // a refusal is an error to the console
}

// The folder keeps everything: addresses, people, sessions, the clock.
func TestKeptFolderComesBackAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := newCampus(t, dir)
	ada, tab := first.person("ada.sample"), newTab(t)
	first.signIn(tab, ada)
	first.later("1 hour")
	first.stop()
	second := newCampus(t, dir)
	if second.BaseURL != first.BaseURL || second.person("ada.sample").Password != ada.Password || second.app("Library") != first.app("Library") {
		t.Errorf("first %+v, then %+v", first.Facts, second.Facts)
	}
	must(t, tab.Open(second.BaseURL+"/apps"))
	must(t, tab.WaitURL("/apps"))
	says(t, tab, "Library")
}
