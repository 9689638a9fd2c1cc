package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/device/softphone"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

// songbirds are every secret of a run by name, and every place where a secret must not stand.
type songbirds struct {
	secrets map[string]string
	places  []string // addresses asked for and redirected to
}

// watch notes what crosses the surface: addresses as places, cookies as secrets.
func (c *songbirds) watch(x *target, t *testing.T) {
	x.seen = func(verb, address string, r *reply) {
		c.places = append(c.places, verb+" "+address, "Location: "+r.location)
		for name, values := range r.header {
			if name != "Set-Cookie" && name != "Content-Security-Policy" {
				c.places = append(c.places, name+": "+strings.Join(values, ","))
			}
		}
		for _, cookie := range (&http.Response{Header: r.header}).Cookies() {
			for part := range strings.SplitSeq(cookie.Value, "~") {
				_, key, found := strings.Cut(part, ".")
				if !found {
					key = part
				}
				if key != "" {
					c.secrets[cookie.Name+" "+key] = key
				}
			}
		}
		if strings.Contains(r.header.Get("Content-Type"), "text/html") {
			switch policy := r.header.Get("Referrer-Policy"); policy {
			case "no-referrer", "same-origin":
			default:
				t.Errorf("%s %s lets addresses travel on: Referrer-Policy %q", verb, address, policy)
			}
			if r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s may be kept by a cache: %q", verb, address, r.header.Get("Cache-Control"))
			}
		}
	}
}

var links = regexp.MustCompile(`(?:href|action|src)="(/[^"]*)"`)

// crawl opens every local link of a page, and of the pages found, once each.
func (b *browser) crawl(from *reply, seen map[string]bool) {
	for _, m := range links.FindAllStringSubmatch(from.body, -1) {
		path := html.UnescapeString(m[1])
		plain, _, _ := strings.Cut(path, "#")
		key, _, _ := strings.Cut(plain, "?")
		if seen[key] {
			continue
		}
		seen[key] = true
		b.crawl(b.get(plain), seen)
	}
}

func TestG12_NoSecretInAnAddressOrALogLine(t *testing.T) {
	x := newTarget(t, "", 1)
	c := &songbirds{secrets: map[string]string{"verifier": attackVerifier, "password": longPassword, "admin token": x.token}}
	c.watch(x, t)
	library := x.application("Library", "teaching", "offline_access", "groups")
	c.secrets["client secret"] = library.secret
	ada := c.register(x)
	b := x.browser()
	seen := map[string]bool{}
	b.crawl(b.get("/signin"), seen)
	b.crawl(b.get("/help"), seen)
	n := x.nodes[0]
	r := b.name(b.get(library.authorize("scope", "openid offline_access profile email groups")), ada.name)
	b.crawl(r, map[string]bool{})
	r = b.answer(r, "password", "a wrong password of hers", false)
	c.secrets["wrong password"] = "a wrong password of hers"
	half := b.answer(r, "password", ada.password, false)
	code := ada.code()
	c.secrets["passcode"] = "answer=" + code
	first := n.redeem(x, library, b.answer(half, "totp", code, true).code())
	second := n.refresh(x, library, first.Refresh)
	n.active(x, library, second.Access)
	n.userinfo(x, second.Access)
	for name, s := range map[string]string{"access": first.Access, "refresh": first.Refresh, "second access": second.Access, "second refresh": second.Refresh} {
		if c.secrets[name] = s; s == "" {
			t.Fatalf("no %s", name)
		}
	}
	c.crawlSecurity(b, ada)
	c.usePhone(b, ada, library)
	form := b.get(library.authorize("response_mode", "form_post"))
	if m := regexp.MustCompile(`name="code" value="([^"]+)"`).FindStringSubmatch(form.body); m != nil {
		c.secrets["posted code"] = m[1]
	} else {
		t.Errorf("no form_post: %s", form.text())
	}
	n.call(x, library, "/oauth2/revoke", url.Values{"token": {second.Refresh}}, "")
	b.crawl(b.get("/oauth2/logout?client_id=library"), map[string]bool{})
	b.post("/signout", url.Values{"everywhere": {"yes"}})
	c.sing(t, x)
}

// register goes through an invitation to a password and a passcode app.
func (c *songbirds) register(x *target) *member {
	ada, typed := x.invited("ada")
	ada.password = longPassword
	c.secrets["invitation"] = typed
	w := x.browser()
	ref := w.post("/welcome", url.Values{"code": {typed}}).field(refField)
	finish := func(kind, answer, sealed string) *reply {
		return w.post("/welcome/finish", url.Values{"ref": {ref}, "kind": {kind}, "sealed": {sealed}, "name": {"x"}, "answer": {answer}})
	}
	finish("password", ada.password, w.post("/welcome/offer", url.Values{"ref": {ref}, "kind": {"password"}}).field(sealedField))
	wizard := w.post("/welcome/offer", url.Values{"ref": {ref}, "kind": {"totp"}}) // the app would do as well
	shown := wizard.field(keyField)
	ada.phone = phoneSecret(x.t, shown)
	c.secrets["passcode secret"] = strings.ReplaceAll(shown, " ", "")
	if r := finish("totp", ada.code(), wizard.field(sealedField)); r.status != http.StatusOK {
		x.t.Fatalf("not registered: %s", r.text())
	}
	return ada
}

// crawlSecurity walks through the member's own pages and does everything there is to do.
func (c *songbirds) crawlSecurity(b *browser, ada *member) {
	b.crawl(b.get("/security"), map[string]bool{"/signout": true})
	add := b.proceed(b.get("/security/add/passkey"), ada, false)
	device := softkey.New(attackBase)
	answer, err := device.Create([]byte(add.field(optionsField)))
	b.x.must(err)
	c.secrets["offer"] = add.field(sealedField)
	if !b.send("POST", "/security/add/passkey", url.Values{"sealed": {add.field(sealedField)}, "name": {"Blue"}, "answer": {string(answer)}}).done() {
		b.x.t.Error("no passkey was added")
	}
	ada.key = device
	b.crawl(b.get("/security"), map[string]bool{"/signout": true})
	c.secrets["new password"] = "some other words of hers"
	b.proceed(b.get("/security/password"), ada, false)
	b.post("/security/password", url.Values{"answer": {c.secrets["new password"]}})
	ada.password = c.secrets["new password"]
	b.x.clock.Add(20 * time.Minute)
	b.proceed(b.post("/security/refresh", url.Values{}), ada, false)
	b.crawl(b.get("/security"), map[string]bool{"/signout": true})
}

// usePhone pairs a phone, answers a request with it, and sends pushes to it. The number has six digits, so that it is not
// found by chance.
func (c *songbirds) usePhone(b *browser, ada *member, library *application) {
	x := b.x
	p := attackPolicy()
	p.App.SixDigits = true
	x.policy(p)
	r := b.proceed(b.get("/security/add/app"), ada, false)
	_, token, err := softphone.ParseLink(html.UnescapeString(r.field(pairLink)))
	x.must(err)
	phone := x.phoneAt(x.nodes[0])
	x.must(phone.OpenPairing(context.Background(), token))
	code, err := phone.Claim(context.Background(), "Her phone")
	x.must(err)
	b.post("/security/pairing/confirm", url.Values{"sealed": {r.field(sealedField)}, "answer": {code}, "name": {"Her phone"}})
	c.secrets["pairing token"], c.secrets["phone code"], c.secrets["pairing page"] = token, code, r.field(sealedField)
	const endpoint = "https://fcm.googleapis.com/fcm/send/canary-of-the-endpoint"
	x.must(phone.Subscribe(context.Background(), endpoint))
	c.secrets["push endpoint"] = "canary-of-the-endpoint"

	other := x.browser()
	r = other.answer(other.name(other.get(library.authorize()), ada.name), "password", ada.password, false)
	if r.number() == "" {
		r = other.post("/signin/choose", url.Values{"attempt": {r.attempt()}, "kind": {"app"}})
	}
	list, err := phone.Requests(context.Background(), 0)
	x.must(err)
	if len(list) != 1 || len(r.number()) != 6 {
		x.t.Fatalf("%d requests, number %q: %s", len(list), r.number(), r.text())
	}
	c.secrets["number"] = r.number()
	x.must(phone.Approve(context.Background(), list[0], r.number()))
	other.get("/signin/next?attempt=" + url.QueryEscape(r.attempt()))
	sealed, err := x.nodes[0].setting(context.Background(), settingPushKey)
	x.must(err)
	private, err := x.nodes[0].Keyring.Open("settings/"+settingPushKey, sealed)
	x.must(err)
	c.secrets["key for pushes"] = base64.StdEncoding.EncodeToString(private)
	dump, err := json.Marshal(x.admin("GET", "/people/"+string(ada.id)+"/challenges", "").body)
	x.must(err)
	c.places = append(c.places, "desk: "+string(dump), "trail: "+x.admin("GET", "/audit?limit=200", "").body)
}

// sing looks for every secret in every place.
func (c *songbirds) sing(t *testing.T, x *target) {
	t.Helper()
	if len(c.secrets) < 20 || len(c.places) < 300 {
		t.Fatalf("the run was too short: %d secrets, %d places", len(c.secrets), len(c.places))
	}
	for _, cookie := range []string{httpdoor.SessionCookie, httpdoor.BrowserCookie, httpdoor.RememberedCookie} {
		found := false
		for name := range c.secrets {
			found = found || strings.HasPrefix(name, cookie+" ")
		}
		if !found {
			t.Errorf("no %s was seen", cookie)
		}
	}
	log := x.log.String()
	if !strings.Contains(log, "/signin/{method}") {
		t.Fatal("nothing was logged")
	}
	for name, s := range c.secrets {
		for _, form := range []string{s, url.QueryEscape(s), strings.ReplaceAll(s, " ", "+")} {
			if strings.Contains(log, form) {
				t.Errorf("%s is in the log", name)
			}
			for _, place := range c.places {
				if strings.Contains(place, form) {
					t.Errorf("%s is in %.120s", name, place)
					break
				}
			}
		}
	}
}
