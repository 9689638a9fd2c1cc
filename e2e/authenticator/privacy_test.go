package authenticator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/e2e/browser"
	"github.com/gatehouse-id/gatehouse/internal/demo"
)

// everything that an origin stores, as text: databases whole, both storages, caches with their content, cookies.
const everything = `(async () => {
  const out = {local: JSON.stringify(localStorage), session: JSON.stringify(sessionStorage), cookies: document.cookie, caches: [], databases: {}};
  for (const name of await caches.keys()) for (const r of await (await caches.open(name)).keys()) out.caches.push(new URL(r.url).pathname);
  const text = v => v instanceof CryptoKey ? 'key ' + v.type + ' ' + v.algorithm.name + ' ' + (v.extractable ? 'extractable' : 'locked') : v;
  for (const {name} of await indexedDB.databases()) {
    const db = await new Promise(r => { const o = indexedDB.open(name); o.onsuccess = () => r(o.result); });
    for (const shelf of db.objectStoreNames) {
      const rows = await new Promise(r => { const q = db.transaction(shelf).objectStore(shelf).getAll(); q.onsuccess = () => r(q.result); });
      out.databases[name + '/' + shelf] = rows.map(row => JSON.parse(JSON.stringify(row, (k, v) => text(v))));
    }
    db.close();
  }
  return JSON.stringify(out);
})()`

type storage struct {
	Local, Session, Cookies string
	Caches                  []string
	Databases               map[string][]map[string]any
}

func stored(t *testing.T, phone *browser.Tab) (storage, string) {
	t.Helper()
	text, err := browser.Eval[string](phone, everything)
	must(t, err)
	var s storage
	must(t, json.Unmarshal([]byte(text), &s))
	return s, text
}

// personal are words that must be nowhere on the phone and in nothing that it sends.
func personal(p demo.Person) []string {
	first, last, _ := strings.Cut(p.Username, ".")
	return []string{p.Username, p.Email, first + " ", " " + last, p.Password, p.TOTPSecret}
}

// The app stores no personal data (NHS-06): all that it keeps is listed here, field by field, after everything that it
// does was done once; and all that it sends goes to the house and speaks of nobody.
func TestNothingPersonalIsStoredOrSent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ada := h.person("ada.sample")
	computer := h.computer(ada)
	phone, _ := h.phone()
	traffic, err := phone.Listen()
	must(t, err)
	link, _ := h.offer(computer, ada)
	must(t, phone.Open(link))
	h.finish(computer, phone)
	must(t, phone.Wait("Ada Sample"))
	_, number := h.ask(ada)
	must(t, phone.Fill("Number on the sign-in page", number))
	must(t, phone.Click("Approve"))
	must(t, phone.Wait("Go back to the browser"))
	must(t, phone.Click("Done"))
	must(t, phone.Click("Ada Sample"))
	must(t, phone.Wait("What this app stores"))

	s, text := stored(t, phone)
	if s.Local != "{}" || s.Session != "{}" || s.Cookies != "" {
		t.Errorf("outside its database the app keeps %s, %s, %q", s.Local, s.Session, s.Cookies)
	}
	for _, path := range s.Caches {
		if strings.HasPrefix(path, "/app/v1/") {
			t.Errorf("the worker keeps an answer of the house: %s", path)
		}
	}
	rows := s.Databases["gatehouse/accounts"]
	if len(s.Databases) != 2 || len(rows) != 1 || len(s.Databases["gatehouse/facts"]) != 1 {
		t.Fatalf("databases: %s", text)
	}
	may := []string{"account", "device", "gone", "institution", "key", "number", "passcode", "pending", "pushed", "skew", "unlock"}
	for field := range rows[0] {
		if !slices.Contains(may, field) {
			t.Errorf("an account has a field that is not on the list: %s", field)
		}
	}
	keys := fmt.Sprint(rows[0]["key"], rows[0]["passcode"])
	if strings.Count(keys, "locked") != 2 || !strings.Contains(keys, "private ECDSA locked") || !strings.Contains(keys, "secret HMAC locked") {
		t.Errorf("keys that could be exported: %s", keys)
	}
	for _, word := range personal(ada) {
		if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			t.Errorf("the phone keeps %q: %s", word, text)
		}
	}
	checkTraffic(t, h, traffic.All(), personal(ada))
}

func checkTraffic(t *testing.T, h *house, sent []browser.Sent, words []string) {
	t.Helper()
	own, err := url.Parse(h.AppURL)
	must(t, err)
	calls := map[string]bool{}
	for _, s := range sent {
		to, err := url.Parse(s.URL)
		must(t, err)
		if to.Host != own.Host {
			t.Errorf("the app speaks to %s", s.URL)
		}
		if strings.HasPrefix(to.Path, "/app/v1/") {
			calls[s.Method+" "+strings.Join(strings.Split(to.Path, "/")[:4], "/")] = true
		}
		plain := strings.ToLower(s.URL + "\n" + s.Headers + "\n" + s.Body + "\n" + opened(s.Headers+s.Body))
		for _, word := range words {
			if strings.Contains(plain, strings.ToLower(word)) {
				t.Errorf("%s %s sends %q", s.Method, s.URL, word)
			}
		}
		if strings.Contains(plain, "cookie:") {
			t.Errorf("%s %s sends a cookie", s.Method, s.URL)
		}
	}
	for call := range calls {
		if !slices.Contains([]string{"GET /app/v1/house", "POST /app/v1/pairings", "GET /app/v1/pairings", "GET /app/v1/account", "GET /app/v1/requests", "POST /app/v1/requests"}, call) {
			t.Errorf("a call that is not on the list: %s", call)
		}
	}
	if len(calls) != 6 {
		t.Errorf("the app made %v: the list is of another run", calls)
	}
}

// opened is every part of the signed texts in s, readable.
func opened(s string) string {
	var out strings.Builder
	for _, part := range strings.FieldsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
	}) {
		if raw, err := base64.RawURLEncoding.DecodeString(part); err == nil && len(raw) > 8 {
			out.Write(raw)
			out.WriteByte('\n')
		}
	}
	return out.String()
}
