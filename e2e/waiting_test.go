package e2e

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
	"github.com/gatehouse-id/gatehouse/e2e/visitor"
	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
)

// softPhone is a phone in software at the campus' app; names under .localhost are this machine.
func (c *campus) softPhone() *softphone.Phone {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return softphone.New(c.AppURL, &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial}})
}

// proves gives whatever proof of the person's own is asked for, until the page says done.
func (c *campus) proves(page *visitor.Page, p demo.Person, done string) *visitor.Page {
	c.t.Helper()
	for range 6 {
		var err error
		switch {
		case page.Says(done):
			return page
		case page.Says("Username or email address"):
			page, err = page.Press(c.t.Context(), "Continue", visitor.Fields{"Username or email address": p.Username})
		case page.Says("Enter your password"):
			page, err = page.Press(c.t.Context(), "Continue", visitor.Fields{"Password": p.Password})
		case page.Says("Enter your passcode"):
			page, err = page.Press(c.t.Context(), "Sign in", visitor.Fields{"Passcode": c.code(p)})
		default:
			c.t.Fatalf("%s (%d) does not say %q: %s", page.URL.Path, page.Status, done, page.Text())
		}
		must(c.t, err)
	}
	c.t.Fatalf("never came to %q: %s", done, page.Text())
	return nil
}

var (
	pairingLink = regexp.MustCompile(`href="([^"]+#pair=[^"]+)"`)
	shownNumber = regexp.MustCompile(`<span class="hide">([0-9 ]+)</span>`)
)

// pairs adds the phone to the person's account without JavaScript.
func (c *campus) pairs(v *visitor.Visitor, p demo.Person) *softphone.Phone {
	c.t.Helper()
	page, err := v.Open(c.t.Context(), c.BaseURL+"/security/add/app")
	must(c.t, err)
	page = c.proves(page, p, "Add the authenticator app")
	press := func(name string, fields visitor.Fields, want string) {
		c.t.Helper()
		page, err = page.Press(c.t.Context(), name, fields)
		must(c.t, err)
		if !page.Says(want) {
			c.t.Fatalf("%s (%d) does not say %q: %s", page.URL.Path, page.Status, want, page.Text())
		}
	}
	press("I have scanned it", nil, "No phone has scanned this yet")
	found := pairingLink.FindStringSubmatch(page.Body)
	if found == nil {
		c.t.Fatal(page.Body)
	}
	phone := c.softPhone()
	_, token, err := softphone.ParseLink(strings.ReplaceAll(found[1], "&amp;", "&"))
	must(c.t, err)
	must(c.t, phone.OpenPairing(c.t.Context(), token))
	code, err := phone.Claim(c.t.Context(), "Old Nokia")
	must(c.t, err)
	press("I have scanned it", nil, "“Old Nokia” has answered")
	press("Add this phone", visitor.Fields{"Code on your phone": code[:3] + " " + code[3:]}, "Phone added: Old Nokia")
	return phone
}

func number(t *testing.T, page *visitor.Page) string {
	t.Helper()
	found := shownNumber.FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("no number: %s", page.Text())
	}
	return strings.ReplaceAll(found[1], " ", "")
}

// A phone is added, and a request is waited for, extended, sent again and answered, without JavaScript.
func TestPhoneWithoutJavaScript(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ctx, ada := t.Context(), c.person("ada.sample")
	phone := c.pairs(visitor.New(), ada)

	v := visitor.New()
	page, err := v.Open(ctx, c.BaseURL+"/apps")
	must(t, err)
	page = c.proves(page, ada, "Check your phone")
	first := number(t, page)
	for _, step := range []struct {
		press, want string
		fields      visitor.Fields
	}{
		{"I have confirmed it", "Enter this number", visitor.Fields{"remember": "yes"}},
		{"I need more time", "Enter this number", nil},
		{"Send it again", "Enter this number", nil},
	} {
		page, err = page.Press(ctx, step.press, step.fields)
		must(t, err)
		if !page.Says(step.want) || !strings.Contains(page.Body, `value="yes" checked`) || !strings.Contains(page.Body, `http-equiv="refresh"`) {
			t.Fatalf("after %q: %s", step.press, page.Body)
		}
	}
	if number(t, page) == first {
		t.Error("a request that was sent again has the old number")
	}
	waits, err := phone.Requests(ctx, 0)
	must(t, err)
	if len(waits) != 1 {
		t.Fatalf("%d requests wait", len(waits))
	}
	must(t, phone.Approve(ctx, waits[0], number(t, page)))
	page, err = page.Press(ctx, "I have confirmed it", nil)
	must(t, err)
	if !page.Says("My applications") || v.Cookie("localhost", "__Host-gatehouse-remembered") == "" {
		t.Errorf("after the answer, with a tick: %s", page.Text())
	}
	for _, address := range v.Visited() {
		if strings.Contains(address, "number") || strings.HasSuffix(address, "="+first) {
			t.Errorf("the number went through an address: %s", address)
		}
	}
}

// With JavaScript the page moves on by itself, says what became of a request, and everything is reached by keyboard.
func TestWaitingPageMovesOn(t *testing.T) {
	t.Parallel()
	c := newCampus(t, t.TempDir())
	ctx, ada := t.Context(), c.person("ada.sample")
	phone := c.pairs(visitor.New(), ada)

	tab := newTab(t)
	ask := func() string {
		t.Helper()
		must(t, tab.Wait("Enter this number"))
		for range 50 { // the page may be on its way to another of the same words
			shown, err := browser.Eval[string](tab, "document.querySelector('.number .hide')?.textContent ?? ''")
			if err == nil && shown != "" {
				return strings.ReplaceAll(shown, " ", "")
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatal("no number is shown")
		return ""
	}
	must(t, tab.Open(c.BaseURL+"/apps"))
	c.password(tab, ada)
	right := ask()
	accessible(t, tab, "the page that waits")
	waits, err := phone.Requests(ctx, 0)
	must(t, err)
	must(t, tab.Wait("Shown on your phone"))
	wrong := "10"
	if right == wrong {
		wrong = "11"
	}
	if err := phone.Approve(ctx, waits[0], wrong); softphone.Code(err) != "request.wrong_number" {
		t.Fatalf("a wrong number: %v", err)
	}
	must(t, tab.Wait("That was another number"))
	must(t, tab.TabTo("Send a new request"))
	must(t, tab.Press("Enter"))
	right = ask()
	must(t, tab.TabTo("I need more time")) // the number stays
	must(t, tab.Press("Enter"))
	waits, err = phone.Requests(ctx, 0)
	must(t, err)
	must(t, phone.Approve(ctx, waits[0], right))
	must(t, tab.Wait("My applications"))
	if problems := tab.Problems(); len(problems) > 0 {
		t.Error(problems)
	}
}
