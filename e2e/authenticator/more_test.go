package authenticator

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
)

// The new phone takes the old one's place in one moment: unlocked on the old one, its code typed there (IMP-17).
func TestNewPhoneTakesTheOldOnesPlace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	_, old, _ := h.pair(ada)
	must(t, old.Click("Ada Sample"))
	must(t, old.Wait("What this app stores"))
	must(t, old.Click("Move to a new phone"))
	must(t, old.Wait("Have both phones at hand"))
	look(t, old, "before moving")
	must(t, old.Click("Unlock and begin"))
	must(t, old.Wait("Code on the new phone"))
	look(t, old, "moving")
	code, err := browser.Eval[string](old, `document.querySelector('.code-out .hide').textContent.replace(/ /g, '')`)
	must(t, err)

	fresh, _ := h.phone()
	must(t, fresh.Open(h.AppURL+"/"))
	must(t, fresh.Click("Type the short code"))
	must(t, fresh.Fill("Short code", code))
	must(t, fresh.Click("Continue"))
	must(t, fresh.Wait("Set up this phone"))
	must(t, fresh.Click("Continue"))
	must(t, fresh.Wait("Type this code where you began"))
	shows, err := browser.Eval[string](fresh, `document.querySelector('.code-out .hide').textContent.replace(/ /g, '')`)
	must(t, err)
	wrong := "000000"
	if shows == wrong {
		wrong = "000001"
	}
	must(t, old.Fill("Code on the new phone", wrong))
	must(t, old.Click("Move to the new phone"))
	must(t, old.Wait("Look again", "try again", "Check", "is not", "tries"))
	must(t, old.Fill("Code on the new phone", shows))
	must(t, old.Click("Move to the new phone"))
	must(t, old.Wait("The new phone has taken over"))
	must(t, fresh.Wait("This phone is ready"))
	must(t, fresh.Click("Done"))
	must(t, fresh.Wait("Ada Sample"))
	must(t, old.Click("Done"))
	must(t, old.Wait("Add your account"))

	stranger, number := h.ask(ada)
	must(t, fresh.Fill("Number on the sign-in page", number))
	must(t, fresh.Click("Approve"))
	must(t, stranger.WaitURL("/apps"))
}

// Two accounts of the institution on one phone, each with its own key, passcode, name and requests (HKU-10).
func TestTwoAccountsAreKeptApart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada, other := h.person("ada.sample"), h.person("carla.fiction")
	_, phone, lock := h.pair(ada)
	computer := h.computer(other)
	link, _ := h.offer(computer, other)
	must(t, phone.Open(link))
	h.finish(computer, phone)
	must(t, phone.Wait("Ada Sample"))
	must(t, phone.Wait("Carla Fiction"))
	look(t, phone, "two accounts")
	if keys, err := lock.Credentials(); err != nil || len(keys) != 2 {
		t.Errorf("the lock keeps %d passkeys (%v)", len(keys), err)
	}
	codes, err := browser.Eval[[]string](phone, `[...document.querySelectorAll('.passcode .hide')].map(e => e.textContent)`)
	must(t, err)
	if len(codes) != 2 || codes[0] == codes[1] {
		t.Errorf("passcodes: %q", codes)
	}
	stranger, number := h.ask(other)
	must(t, phone.Wait("For carla.fiction"))
	must(t, phone.Fill("Number on the sign-in page", number))
	must(t, phone.Click("Approve"))
	must(t, stranger.WaitURL("/apps"))
}

// A phone that is removed on the security page learns it at once, while it is open, and says what to do (IMP-18).
func TestRemovedPhoneSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	computer, phone, _ := h.pair(ada)
	must(t, computer.Open(h.BaseURL+"/security"))
	must(t, computer.Click("Remove Pocket"))
	h.prove(computer, phone, ada, "Remove it")
	must(t, computer.Click("Remove it"))
	must(t, phone.Wait("Not in use any more"))
	must(t, phone.Click("Not in use any more"))
	must(t, phone.Wait("This phone was removed from the account"))
	look(t, phone, "a phone that was removed")
	must(t, phone.Click("Remove from this phone"))
	must(t, phone.Wait("Add your account"))
}

// The app can be installed, and an iPhone's browser is led to do that first.
func TestAppIsInstallable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	phone, _ := h.phone()
	must(t, phone.Open(h.AppURL+"/"))
	must(t, phone.Wait("Add your account"))
	wrong, err := phone.NotInstallable()
	must(t, err)
	for _, w := range wrong {
		if w != "in-incognito" { // every tab of these tests is a visitor of its own
			t.Errorf("the app cannot be installed: %s", w)
		}
	}
	iphone := newTab(t)
	must(t, iphone.Size(390, 844, true))
	must(t, iphone.Agent("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"))
	must(t, iphone.Open(h.AppURL+"/#pair=AAAAAAAAAAAAAAAAAAAAAA"))
	must(t, iphone.Wait("First put the app on your home screen"))
	look(t, iphone, "an iPhone's browser")
	if url, err := iphone.URL(); err != nil || strings.Contains(url, "AAAA") {
		t.Errorf("the link's token stays in the address: %s (%v)", url, err)
	}
}

// The camera inside the app reads the QR code of the computer's page, in a browser that has no reader of its own. The
// picture is the page's own code, drawn aslant; a code from elsewhere is refused in words.
func TestCameraReadsThePairingCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	computer := h.computer(ada)
	h.offer(computer, ada)
	drawn, err := browser.Eval[[]string](computer, `(() => { const svg = document.querySelector('svg.qr'); return [svg.getAttribute('viewBox').split(' ')[2], svg.querySelector('path').getAttribute('d')]; })()`)
	must(t, err)
	phone, _ := h.phone()
	must(t, phone.Open(h.AppURL+"/"))
	must(t, phone.Wait("Add your account"))
	picture, err := json.Marshal(drawn)
	must(t, err)
	_, err = browser.Eval[bool](phone, `(() => { const [size, d] = `+string(picture)+`, canvas = document.createElement('canvas');
  canvas.width = 640; canvas.height = 480; const c = canvas.getContext('2d');
  setInterval(() => { c.resetTransform(); c.fillStyle = '#777'; c.fillRect(0, 0, 640, 480); c.translate(320, 230); c.rotate(0.15); c.scale(330 / size, 330 / size); c.translate(-size / 2, -size / 2);
    c.fillStyle = '#eee'; c.fillRect(-4, -4, +size + 8, +size + 8); c.fillStyle = '#222'; c.fill(new Path2D(d)); }, 50);
  delete window.BarcodeDetector;
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(20); return true; })()`)
	must(t, err)
	must(t, phone.Click("Scan a QR code"))
	h.finish(computer, phone)
	must(t, phone.Wait("Ada Sample"))

	for text, says := range map[string]string{"https://elsewhere.example/#pair=AAAAAAAAAAAAAAAAAAAAAA": "scan.foreign", "otpauth://totp/x?secret=AA": "scan.otpauth", "not an address": "scan.foreign"} {
		got, err := browser.Eval[string](phone, `import('/scan.js').then(m => m.means(`+strconv.Quote(text)+`).wrong)`)
		must(t, err)
		if got != says {
			t.Errorf("%q: %q, wanted %q", text, got, says)
		}
	}
}
