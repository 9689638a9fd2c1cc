package authenticator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
	"github.com/gatehouse-id/gatehouse/internal/demo"
)

const axeFile = "../node_modules/axe-core/axe.min.js"

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		return "", err
	}
	removeProgram = func() { os.RemoveAll(dir) }
	program := filepath.Join(dir, "gatehouse")
	out, err := exec.Command("go", "build", "-o", program, "../../cmd/gatehouse").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return program, nil
})

var chromium = sync.OnceValues(func() (*browser.Browser, error) {
	b, err := browser.Start(context.Background())
	if err == nil {
		closeChromium = b.Close
	}
	return b, err
})

// What the two above leave behind; each is set once.
var removeProgram, closeChromium = func() {}, func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closeChromium()
	removeProgram()
	os.Exit(code)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is a running demonstration.
type house struct {
	demo.Facts
	t    *testing.T
	cmd  *exec.Cmd
	said bytes.Buffer
	once sync.Once
	used map[string]int64 // the last step of each person's passcodes
}

func newHouse(t *testing.T) *house {
	t.Helper()
	program, err := built()
	must(t, err)
	h := &house{t: t, used: map[string]int64{}}
	h.cmd = exec.Command(program, "demo", "--json", "--data", t.TempDir())
	h.cmd.Stderr = &h.said
	out, err := h.cmd.StdoutPipe()
	must(t, err)
	must(t, h.cmd.Start())
	t.Cleanup(h.stop)
	if err := json.NewDecoder(out).Decode(&h.Facts); err != nil {
		t.Fatalf("the demonstration did not say what it offers: %v", err)
	}
	if h.AppURL == "" {
		t.Fatal("the demonstration has no authenticator app")
	}
	return h
}

// stop presses Ctrl-C: from then on there is no house, and no network that leads to it.
func (h *house) stop() {
	h.once.Do(func() {
		if err := h.cmd.Process.Signal(syscall.SIGINT); err != nil {
			h.t.Error(err)
		}
		if err := h.cmd.Wait(); err != nil || h.said.Len() > 0 {
			h.t.Errorf("the demonstration ended with %v and said: %s", err, h.said.String())
		}
	})
}

func (h *house) person(name string) demo.Person {
	h.t.Helper()
	for _, p := range h.People {
		if p.Username == name {
			return p
		}
	}
	h.t.Fatalf("nobody is called %s", name)
	return demo.Person{}
}

func newTab(t *testing.T) *browser.Tab {
	t.Helper()
	b, err := chromium()
	must(t, err)
	tab, err := b.Tab()
	must(t, err)
	t.Cleanup(tab.Close)
	return tab
}

// code is the person's next passcode of the app that the demonstration gave them; each works once.
func (h *house) code(p demo.Person) string {
	h.t.Helper()
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(30 * time.Second)} {
		if step := at.Unix() / 30; step > h.used[p.Username] {
			h.used[p.Username] = step
			code, _ := demo.Passcode(p.TOTPSecret, at)
			return code
		}
	}
	h.t.Fatal("no passcode is left within the drift that is accepted")
	return ""
}

// password types name and password where a sign-in page asks for them.
func (h *house) password(tab *browser.Tab, p demo.Person) {
	h.t.Helper()
	must(h.t, tab.Fill("Username or email address", p.Username))
	must(h.t, tab.Click("Continue"))
	must(h.t, tab.Wait("Enter your password"))
	must(h.t, tab.Fill("Password", p.Password))
	must(h.t, tab.Click("Continue"))
}

// computer is a browser in which p has signed in with password and passcode, before there was a phone.
func (h *house) computer(p demo.Person) *browser.Tab {
	h.t.Helper()
	tab := newTab(h.t)
	must(h.t, tab.Open(h.BaseURL+"/signin"))
	h.password(tab, p)
	must(h.t, tab.Wait("Enter your passcode"))
	must(h.t, tab.Fill("Passcode", h.code(p)))
	must(h.t, tab.Click("Sign in"))
	must(h.t, tab.WaitURL("/apps"))
	return tab
}

// phone is an empty phone, with a screen lock.
func (h *house) phone() (*browser.Tab, *browser.Authenticator) {
	h.t.Helper()
	tab := newTab(h.t)
	must(h.t, tab.Size(390, 844, true))
	lock, err := tab.Authenticator(false)
	must(h.t, err)
	return tab, lock
}

// offer has the computer offer a pairing, and gives its link and short code.
func (h *house) offer(computer *browser.Tab, p demo.Person) (link, code string) {
	h.t.Helper()
	must(h.t, computer.Open(h.BaseURL+"/security/add/app"))
	for range 3 {
		must(h.t, computer.Wait("with your phone in hand", "Enter your passcode", "Enter your password"))
		text, err := computer.Text()
		must(h.t, err)
		switch {
		case strings.Contains(text, "Enter your passcode"):
			must(h.t, computer.Fill("Passcode", h.code(p)))
			must(h.t, computer.Click("Continue"))
			must(h.t, computer.Gone("Enter your passcode"))
			continue
		case strings.Contains(text, "Enter your password"):
			must(h.t, computer.Fill("Password", p.Password))
			must(h.t, computer.Click("Continue"))
			must(h.t, computer.Gone("Enter your password"))
			continue
		}
		break
	}
	got, err := browser.Eval[[]string](computer, `[document.querySelector('a[href*="#pair="]').href, document.querySelector('.key').textContent.trim()]`)
	must(h.t, err)
	return got[0], got[1]
}

// finish goes through the phone's own part and types its code at the computer.
func (h *house) finish(computer, phone *browser.Tab) {
	h.t.Helper()
	must(h.t, phone.Wait("Set up this phone"))
	must(h.t, phone.Click("Continue"))
	must(h.t, phone.Wait("Type this code where you began"))
	code, err := browser.Eval[string](phone, `document.querySelector('.code-out .hide').textContent.replace(/ /g, '')`)
	must(h.t, err)
	must(h.t, computer.Wait("Type the code that your phone shows"))
	must(h.t, computer.Fill("Code on your phone", code))
	must(h.t, computer.Fill("Name of this phone", "Pocket"))
	must(h.t, computer.Click("Add this phone"))
	must(h.t, phone.Wait("This phone is ready"))
	must(h.t, phone.Click("Done"))
	must(h.t, phone.Wait("Ready. A sign-in request shows here"))
}

// pair brings a phone to p's account by a link.
func (h *house) pair(p demo.Person) (computer, phone *browser.Tab, lock *browser.Authenticator) {
	h.t.Helper()
	computer = h.computer(p)
	phone, lock = h.phone()
	link, _ := h.offer(computer, p)
	must(h.t, phone.Open(link))
	h.finish(computer, phone)
	return computer, phone, lock
}

// ask signs p in at a stranger's browser up to the number that is to be matched.
func (h *house) ask(p demo.Person) (stranger *browser.Tab, number string) {
	h.t.Helper()
	stranger = newTab(h.t)
	must(h.t, stranger.Open(h.BaseURL+"/signin"))
	h.password(stranger, p)
	must(h.t, stranger.Wait("Enter this number in your authenticator app"))
	number, err := browser.Eval[string](stranger, `document.querySelector('.number [aria-hidden]').textContent.replace(/\s/g, '')`)
	must(h.t, err)
	return stranger, number
}

// prove answers at the computer what is asked, password or a request to the phone, until the page offers done.
func (h *house) prove(computer, phone *browser.Tab, p demo.Person, done string) {
	h.t.Helper()
	const password, request = "Enter your password", "Enter this number in your authenticator app"
	for range 3 {
		must(h.t, computer.Wait(done, password, request))
		text, err := computer.Text()
		must(h.t, err)
		switch {
		case strings.Contains(text, request):
			number, err := browser.Eval[string](computer, `document.querySelector('.number [aria-hidden]').textContent.replace(/\s/g, '')`)
			must(h.t, err)
			must(h.t, phone.Fill("Number on the sign-in page", number))
			must(h.t, phone.Click("Approve"))
			must(h.t, phone.Wait("Go back to the browser"))
			must(h.t, phone.Click("Done"))
			must(h.t, computer.Gone(request))
		case strings.Contains(text, password):
			must(h.t, computer.Fill("Password", p.Password))
			must(h.t, computer.Click("Continue"))
			must(h.t, computer.Gone(password))
		default:
			return
		}
	}
}

// look fails where axe-core finds something serious, and where the page is wider than a small phone.
func look(t *testing.T, phone *browser.Tab, what string) {
	t.Helper()
	for _, size := range [][2]int{{390, 844}, {320, 568}} {
		for _, colours := range []string{"light", "dark"} {
			must(t, phone.Size(size[0], size[1], true))
			must(t, phone.Prefer("prefers-color-scheme", colours))
			found, err := phone.Axe(axeFile)
			must(t, err)
			for _, f := range found {
				if f.Serious() {
					t.Errorf("%s, %s: %s", what, colours, f)
				}
			}
		}
		wide, err := browser.Eval[int](phone, "document.documentElement.scrollWidth")
		must(t, err)
		if wide > size[0] {
			t.Errorf("%s: %d pixels wide on a screen of %d", what, wide, size[0])
		}
	}
	must(t, phone.Size(390, 844, true))
	must(t, phone.Prefer("prefers-color-scheme", "light"))
}
