package httpdoor

import "net/http"

// Header values are shared slices: setting them costs no allocation, and nobody appends to them in place
// because their capacity is their length.
var (
	jsonType  = []string{"application/json"}
	htmlType  = []string{"text/html; charset=utf-8"}
	nosniff   = []string{"nosniff"}
	noStore   = []string{"no-store"}
	hstsValue = []string{"max-age=63072000"}
	coop      = []string{"same-origin"}
	corp      = []string{"same-origin"}
	// Not no-referrer: under it browsers write "Origin: null" on our own forms, and one that does not send
	// Sec-Fetch-Site (Safari before 16.4, Chrome before 76) could then not be told from a stranger's page. To other
	// sites same-origin sends nothing either.
	referrer    = []string{"same-origin"}
	permissions = []string{"publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), " +
		"microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"}
	policyPlain = []string{contentPolicy + "'self'"}
	policyNone  = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
)

const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; font-src 'none'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action "

// baseHeaders go on every answer, whoever writes it: closed, until a handler opens what it needs. They also cover what
// the multiplexer answers by itself, like the small page of its redirect from "//signin" (attack G21).
func baseHeaders(h http.Header, hsts bool) {
	h["Content-Security-Policy"] = policyNone
	h["Cross-Origin-Opener-Policy"] = coop
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = nosniff
	h["Referrer-Policy"] = referrer
	if hsts {
		h["Strict-Transport-Security"] = hstsValue
	}
}

// pageHeaders go on every page.
func pageHeaders(h http.Header) {
	h["Content-Type"] = htmlType
	h["Cache-Control"] = noStore
	h["Content-Security-Policy"] = policyPlain
	h["Cross-Origin-Opener-Policy"] = coop
	h["Cross-Origin-Resource-Policy"] = corp
	h["Permissions-Policy"] = permissions
	h["X-Frame-Options"] = []string{"DENY"}
}

// AllowFormTo lets this page's forms end at origin too: Chromium holds form-action against every redirect that
// follows a POST, and a sign-in ends at the application. origin is "" or one that was registered; anything that
// is not a plain origin is left out.
func AllowFormTo(w http.ResponseWriter, origin string) {
	if !plainOrigin(origin) {
		return
	}
	w.Header().Set("Content-Security-Policy", contentPolicy+"'self' "+origin)
}

// plainOrigin accepts scheme://host[:port] in characters that cannot end a directive, and a native application's
// scheme ("org.example.app:"), which a policy names by its scheme alone.
func plainOrigin(s string) bool {
	if s == "" || len(s) > 300 {
		return false
	}
	colon := false
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '/', c == '[', c == ']':
		case c == ':':
			colon = true
		default:
			return false
		}
	}
	return colon
}
