package authenticator

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
	"github.com/gatehouse-id/gatehouse/internal/demo"
)

// From an empty phone to an approved sign-in, each screen looked at (IMP-08, IMP-09, HKU-01).
func TestPhoneIsPairedAndApproves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	computer := h.computer(ada)
	phone, lock := h.phone()
	must(t, phone.Open(h.AppURL+"/"))
	must(t, phone.Wait("Add your account"))
	look(t, phone, "the empty app")

	// By the short code, first with a mistake.
	_, code := h.offer(computer, ada)
	must(t, phone.Click("Type the short code"))
	must(t, phone.Wait("Eight letters and digits, like ABCD-EFGH"))
	must(t, phone.Fill("Short code", "2222 2222"))
	must(t, phone.Click("Continue"))
	must(t, phone.Gone("Set up this phone"))
	look(t, phone, "a wrong short code")
	must(t, phone.Fill("Short code", strings.ToLower(strings.ReplaceAll(code, "-", " "))))
	must(t, phone.Click("Continue"))
	must(t, phone.Wait("Set up this phone"))
	look(t, phone, "setting up")
	h.finish(computer, phone)
	if keys, err := lock.Credentials(); err != nil || len(keys) != 1 {
		t.Fatalf("the phone's lock keeps %d passkeys (%v), wanted the one that unlocks", len(keys), err)
	}
	must(t, phone.Wait("Ada Sample"))
	look(t, phone, "the list")

	stranger, number := h.ask(ada)
	must(t, phone.Wait("Is this you signing in?"))
	must(t, phone.Wait("Gatehouse", "Security page", "Your applications", "Imperial"))
	if text, err := phone.Text(); err != nil || strings.Contains(text, number+" ") {
		t.Errorf("the phone shows the number %s itself (%v): %s", number, err, text)
	}
	look(t, phone, "a request")
	must(t, phone.Fill("Number on the sign-in page", number[:1]))
	must(t, phone.Click("Approve"))
	must(t, phone.Wait("The number has 2 digits"))
	must(t, phone.Fill("Number on the sign-in page", number))
	must(t, phone.Click("Approve"))
	must(t, phone.Wait("Go back to the browser"))
	must(t, stranger.WaitURL("/apps"))
	look(t, phone, "after approving")
	if focused, _, err := phone.Focused(); err != nil || focused != "Approved" {
		t.Errorf("the focus is on %q (%v), not on what happened", focused, err)
	}

	// The next request is not hidden behind what came of the one before.
	h.ask(ada)
	must(t, phone.Wait("A sign-in is waiting."))
	must(t, phone.Click("Show it"))
	must(t, phone.Wait("Is this you signing in?"))
}

// One wrong number ends the request, and both sides say so (attack G47).
func TestG47_WrongNumberEndsTheRequestOnThePhone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	_, phone, _ := h.pair(ada)
	stranger, number := h.ask(ada)
	wrong := "10"
	if number == wrong {
		wrong = "11"
	}
	must(t, phone.Fill("Number on the sign-in page", wrong))
	must(t, phone.Click("Approve"))
	must(t, phone.Wait("That was not the number"))
	look(t, phone, "after a wrong number")
	must(t, stranger.Wait("That was another number"))
	must(t, phone.Click("Done"))
	must(t, phone.Wait("Ready. A sign-in request shows here"))
}

// "No, it's not me": what will happen is said before, what happened and what to do after (IMP-10).
func TestNotMeIsReported(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	_, phone, _ := h.pair(ada)
	stranger, _ := h.ask(ada)
	must(t, phone.Click("No, it’s not me"))
	must(t, phone.Wait("Stop and report this sign-in?"))
	look(t, phone, "before reporting")
	must(t, phone.Click("Back to the request"))
	must(t, phone.Wait("Is this you signing in?"))
	must(t, phone.Click("No, it’s not me"))
	must(t, phone.Click("Stop and report it"))
	must(t, phone.Wait("Choose a new password"))
	look(t, phone, "after reporting")
	must(t, stranger.Wait("Thank you for telling us", "You reported this sign-in", "This page waited too long")) // its attempt is gone
	if url, err := stranger.URL(); err != nil || strings.Contains(url, "/apps") {
		t.Errorf("the stranger is at %s (%v)", url, err)
	}
}

// "Send it again" leaves no dead end on the phone: the request in hand gives way to the new one, which says so. One that
// nobody wants any more leaves the phone.
func TestRequestThatIsReplacedLeavesThePhone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	_, phone, _ := h.pair(ada)
	asking, before := h.ask(ada)
	must(t, phone.Wait("Is this you signing in?"))
	must(t, asking.Click("Nothing on your phone?"))
	must(t, asking.Click("Send it again"))
	must(t, phone.Wait("Sent again: the number has changed"))
	after, err := browser.Eval[string](asking, `document.querySelector('.number [aria-hidden]').textContent.replace(/\s/g, '')`)
	must(t, err)
	if after == before {
		t.Errorf("the number is %s as before", after)
	}
	must(t, phone.Wait("For ada.sample"))
	must(t, phone.Click("More time"))
	must(t, phone.Wait("Waits 10 more minutes", "Waits 9 more minutes"))
	must(t, phone.Click("No, it’s not me"))
	must(t, phone.Click("It was me: only stop it"))
	must(t, phone.Wait("Stopped"))
	must(t, phone.Click("Done"))
	must(t, phone.Wait("Ready. A sign-in request shows here"))
}

// shown is the passcode on the phone's screen.
func shown(t *testing.T, phone *browser.Tab) string {
	t.Helper()
	code, err := browser.Eval[string](phone, `document.querySelector('.passcode .hide').textContent.replace(/ /g, '')`)
	must(t, err)
	return code
}

// With no network and no house the app opens from its worker and shows a passcode, which a peer computes alike
// (oathtool) and the house takes (HKU-08, NHS-05). The secret is caught on its way in, for the phone cannot give it back.
func TestPasscodesNeedNoNetwork(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	computer := h.computer(ada)
	phone, _ := h.phone()
	must(t, phone.Open(h.AppURL+"/"))
	must(t, phone.Wait("Add your account"))
	_, err := browser.Eval[bool](phone, `(() => { const real = fetch; window.fetch = async (...a) => { const r = await real(...a);
  if (String(a[0]).endsWith('/claim')) { window.caught = (await r.clone().json()).passcode.secret; } return r; }; return true; })()`)
	must(t, err)
	_, code := h.offer(computer, ada)
	must(t, phone.Click("Type the short code"))
	must(t, phone.Fill("Short code", code))
	must(t, phone.Click("Continue"))
	h.finish(computer, phone)
	secret, err := browser.Eval[string](phone, "window.caught")
	must(t, err)
	ready, err := browser.Eval[bool](phone, "navigator.serviceWorker.ready.then(r => Boolean(r.active))")
	must(t, err)
	if !ready || secret == "" {
		t.Fatalf("worker %v, secret %q", ready, secret)
	}

	// The house takes it.
	stranger := newTab(t)
	must(t, stranger.Open(h.BaseURL+"/signin"))
	h.password(stranger, ada)
	must(t, stranger.Click("I can’t use my authenticator app right now"))
	must(t, stranger.Click("Passcode"))
	must(t, stranger.Wait("Enter your passcode"))
	must(t, stranger.Fill("Passcode", passcodeNow(t, secret)))
	must(t, stranger.Click("Sign in"))
	must(t, stranger.WaitURL("/apps"))

	h.stop()
	must(t, phone.Offline(true))
	must(t, phone.Open(h.AppURL+"/"))
	must(t, phone.Wait("No network. Passcodes work all the same."))
	must(t, phone.Wait("Account 1"))
	for range 200 { // the step may change between two looks, and the screen follows within a second
		if shown(t, phone) == passcodeNow(t, secret) {
			look(t, phone, "without a network")
			must(t, phone.Click("Account 1"))
			must(t, phone.Wait("Your name shows when there is a network"))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the phone shows %s, oathtool computes %s", shown(t, phone), passcodeNow(t, secret))
}

// passcodeNow is what oathtool computes.
func passcodeNow(t *testing.T, secret string) string {
	t.Helper()
	out, err := exec.Command("oathtool", "--totp", "--base32", secret).Output()
	must(t, err)
	code := strings.TrimSpace(string(out))
	if mine, _ := demo.Passcode(secret, time.Now()); mine != code {
		t.Logf("oathtool says %s, we say %s: the step has just changed", code, mine)
	}
	return code
}

// A push is a notification that says that something waits, and nothing more; the open app looks at once.
func TestPushBecomesANotificationWithoutContent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	_, phone, _ := h.pair(ada)
	must(t, phone.Allow(h.AppURL, "notifications"))
	must(t, phone.Push(h.AppURL, `{"waiting":true}`))
	var notes []struct{ Title, Body, Tag string }
	for range 100 {
		text, err := browser.Eval[string](phone, `navigator.serviceWorker.ready.then(r => r.getNotifications())
  .then(list => JSON.stringify(list.map(n => ({title: n.title, body: n.body, tag: n.tag}))))`)
		must(t, err)
		must(t, json.Unmarshal([]byte(text), &notes))
		if len(notes) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(notes) != 1 || notes[0].Title != "A sign-in is waiting" || notes[0].Body != "Open the app to see it." {
		t.Errorf("notifications: %+v", notes)
	}
}

// A phone that lost its storage comes back by its own lock (product section 3), and its old key is in use no more.
func TestLostStorageComesBackByTheLock(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	_, phone, lock := h.pair(ada)
	must(t, phone.Wipe(h.AppURL))
	must(t, phone.Open(h.AppURL+"/"))
	must(t, phone.Wait("Add your account"))
	must(t, phone.Click("This phone was set up before"))
	must(t, phone.Wait("Bring back your account"))
	look(t, phone, "bringing back")
	must(t, phone.Click("Unlock and bring back"))
	must(t, phone.Wait("This phone is ready"))
	must(t, phone.Click("Done"))
	must(t, phone.Wait("Ada Sample"))
	if keys, err := lock.Credentials(); err != nil || len(keys) != 1 {
		t.Errorf("the lock keeps %d passkeys (%v)", len(keys), err)
	}
	stranger, number := h.ask(ada)
	must(t, phone.Fill("Number on the sign-in page", number))
	must(t, phone.Click("Approve"))
	must(t, phone.Wait("Go back to the browser"))
	must(t, stranger.WaitURL("/apps"))
}

// A link that was used, and the empty house of a phone that was removed on the security page.
func TestWhatIsOverIsSaid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	computer := h.computer(ada)
	link, _ := h.offer(computer, ada)
	phone, _ := h.phone()
	must(t, phone.Open(link))
	h.finish(computer, phone)
	other, _ := h.phone()
	must(t, other.Open(link))
	must(t, other.Wait("This could not be opened"))
	look(t, other, "a link that was used")
	if url, err := other.URL(); err != nil || strings.Contains(url, "pair=") {
		t.Errorf("the link's token stays in the address: %s (%v)", url, err)
	}
	must(t, phone.Click("Ada Sample"))
	must(t, phone.Wait("What this app stores"))
	must(t, phone.Click("What this app stores"))
	look(t, phone, "an account")
	must(t, phone.Click("Remove from this phone"))
	must(t, phone.Wait("Make sure that you can sign in another way"))
	look(t, phone, "before removing")
	must(t, phone.Click("Remove from this phone"))
	must(t, phone.Wait("Add your account"))
}

// A reload of the page begins another pairing, which ends the one before; the page that is left must not say so over the
// new one.
func TestReloadBeginsAnotherPairing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	computer := h.computer(h.person("ada.sample"))
	first, _ := h.offer(computer, h.person("ada.sample"))
	_, err := browser.Eval[bool](computer, `(location.reload(), true)`)
	must(t, err)
	again := first
	for deadline := time.Now().Add(20 * time.Second); again == first && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		again, _ = browser.Eval[string](computer, `document.querySelector('a[href*="#pair="]')?.href ?? ''`)
		if again == "" {
			again = first
		}
	}
	time.Sleep(time.Second)
	text, err := computer.Text()
	must(t, err)
	if again == first || !strings.Contains(text, "with your phone in hand") {
		t.Errorf("after a reload: %.300s", text)
	}
}
