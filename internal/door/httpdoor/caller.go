package httpdoor

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// The cookies. "__Host-" makes browsers refuse them from a sibling domain (attack G1); http://localhost may set them.
const (
	SessionCookie    = "__Host-gatehouse"
	BrowserCookie    = "__Host-gatehouse-browser"
	RememberedCookie = "__Host-gatehouse-remembered"
)

const (
	// BrowserFor is how long the browser cookie lives: 400 days, the most that browsers allow (RFC 6265bis).
	BrowserFor = 400 * 24 * time.Hour
	maxAgent   = 400 // bytes
)

// Caller says who is asking: cookies, address, agent, language. A browser without its cookie is given one.
// door is the name of the asking door ("web", "oidc").
func (d *Door) Caller(w http.ResponseWriter, r *http.Request, door string) signin.Caller {
	c := signin.Caller{Address: Address(w), Agent: CleanAgent(r.Header.Get("User-Agent")), Door: door,
		Locale: d.locale(r.Header.Get("Accept-Language"))}
	if !c.Address.IsValid() {
		c.Address = d.address(r)
	}
	for _, ck := range r.Cookies() {
		switch ck.Name {
		case SessionCookie:
			if tokenLike(ck.Value) {
				c.Session = secret.NewString(ck.Value)
			}
		case BrowserCookie:
			if tokenLike(ck.Value) {
				c.Browser = secret.NewString(ck.Value)
			}
		case RememberedCookie:
			c.Remembered = session.SplitTokens(ck.Value)
		}
	}
	if c.Browser.Empty() {
		c.Browser = secret.Token(32)
		SetBrowser(w, c.Browser)
	}
	return c
}

// Language is the one that a request asks for, as far as there are texts in it.
func (d *Door) Language(r *http.Request) string { return d.locale(r.Header.Get("Accept-Language")) }

// SetBrowser writes the browser cookie.
func SetBrowser(w http.ResponseWriter, token secret.String) {
	setCookie(w, BrowserCookie, token.Reveal(), int(BrowserFor/time.Second))
}

// SetSession writes the session cookie, which ends with the browser; an empty token removes it.
func SetSession(w http.ResponseWriter, token secret.String) {
	if token.Empty() {
		setCookie(w, SessionCookie, "", -1)
		return
	}
	setCookie(w, SessionCookie, token.Reveal(), 0)
}

// SetRemembered writes the whole list of remembered-browser tokens; an empty one removes the cookie. The oldest
// (first) go where there are more than five.
func SetRemembered(w http.ResponseWriter, tokens []secret.String) {
	if len(tokens) == 0 {
		setCookie(w, RememberedCookie, "", -1)
		return
	}
	setCookie(w, RememberedCookie, session.JoinTokens(tokens).Reveal(), int(BrowserFor/time.Second))
}

func setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// tokenLike accepts what secret.Token writes, within bounds.
func tokenLike(s string) bool {
	if len(s) < 22 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// CleanAgent keeps 400 bytes of printable ASCII of a User-Agent: nothing that a terminal, a log or a spreadsheet
// could take for an order (attack G134).
func CleanAgent(s string) string {
	clean := len(s) <= maxAgent
	for i := 0; clean && i < len(s); i++ {
		clean = s[i] >= ' ' && s[i] <= '~'
	}
	if clean {
		return s
	}
	out := make([]byte, 0, min(len(s), maxAgent))
	for i := 0; i < len(s) && len(out) < maxAgent; i++ {
		if s[i] >= ' ' && s[i] <= '~' {
			out = append(out, s[i])
		}
	}
	return string(out)
}

// Form reads a POSTed form. Fields that are no UTF-8 or hold control characters are refused at the edge: the engines
// would not keep them alike. Only the body counts, never the query.
func Form(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		if f := asFault(err); f.Code == errTooLarge.Code {
			return nil, f
		}
		return nil, errForm.Because(err)
	}
	for k, vs := range r.PostForm {
		if !clean(k) {
			return nil, errForm
		}
		for _, v := range vs {
			if !clean(v) {
				return nil, errForm
			}
		}
	}
	return r.PostForm, nil
}

// LocalPath accepts a path on this house and nothing that a browser would read as another site.
func LocalPath(p string) bool {
	if len(p) == 0 || len(p) > 4096 || p[0] != '/' || strings.HasPrefix(p, "//") {
		return false
	}
	for _, c := range []byte(p) {
		if c <= ' ' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// SeeOther answers 303 to a local path; another one is a mistake of ours and becomes an internal error.
func SeeOther(w http.ResponseWriter, path string) error {
	if !LocalPath(path) {
		return errBadReturn
	}
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
