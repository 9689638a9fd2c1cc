package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// Null is the floor under a server: for each request the HTTP, the parsing of what is verified, the signature checks
// and signatures, and one durable commit shared by all who wait, and nothing else. It has no pages, no sessions, no
// policy, no audit trail, and it lets everybody in whose signature is right.
type Null struct {
	people  *ecdsa.PublicKey // everybody's passkey is the same
	signing *ecdsa.PrivateKey
	commits *commits
}

// NewNull opens the file that its commits go to. Call Close.
func NewNull(path string, people *ecdsa.PublicKey) (*Null, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c, err := openCommits(path)
	if err != nil {
		return nil, err
	}
	return &Null{people, key, c}, nil
}

// Close ends the commits.
func (n *Null) Close() error { return n.commits.close() }

// Handler serves the same requests as the operations send to Gatehouse, a path for each.
func (n *Null) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /challenge", n.challenge)
	mux.HandleFunc("POST /assertion", n.assertion)
	mux.HandleFunc("GET /code", n.code)
	mux.HandleFunc("POST /tokens", n.tokens)
	mux.HandleFunc("POST /password", n.password)
	mux.HandleFunc("GET /empty", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		_ = r.FormValue("name")
		http.Redirect(w, r, "/empty", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /session", n.session)
	mux.HandleFunc("POST /session", n.session)
	mux.HandleFunc("GET /app/v1/requests", n.requests)
	mux.HandleFunc("POST /app/v1/requests/{id}/answer", n.answer)
	return mux
}

func (n *Null) challenge(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, `{"challenge":%q}`, rand.Text())
}

// Assertion is the part of a WebAuthn answer whose signature is checked.
type Assertion struct {
	Response struct {
		ClientData    string `json:"clientDataJSON"`
		Authenticator string `json:"authenticatorData"`
		Signature     string `json:"signature"`
	} `json:"response"`
}

func (n *Null) assertion(w http.ResponseWriter, r *http.Request) {
	if err := n.checkAssertion([]byte(r.PostFormValue("answer"))); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.session(w, r)
}

// session lets a browser in: the one commit of a sign-in.
func (n *Null) session(w http.ResponseWriter, r *http.Request) {
	if !n.commit(w) {
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "__Host-null", Value: rand.Text(), Path: "/", Secure: true, HttpOnly: true})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (n *Null) checkAssertion(text []byte) error {
	var a Assertion
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	var parts [3][]byte
	for i, field := range []string{a.Response.ClientData, a.Response.Authenticator, a.Response.Signature} {
		var err error
		if parts[i], err = base64.RawURLEncoding.DecodeString(field); err != nil {
			return err
		}
	}
	hash := sha256.Sum256(parts[0])
	digest := sha256.Sum256(append(parts[1], hash[:]...))
	if !ecdsa.VerifyASN1(n.people, digest[:], parts[2]) {
		return errors.New("wrong signature")
	}
	return nil
}

func (n *Null) code(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "http://127.0.0.1/callback?code="+rand.Text(), http.StatusSeeOther)
}

// tokens signs an ID token and an access token and keeps what a grant keeps: one row.
func (n *Null) tokens(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("grant_type") == "" {
		http.Error(w, "grant_type", http.StatusBadRequest)
		return
	}
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":"null","sub":"somebody","aud":"bench","iat":%d,"exp":%d,"jti":%q}`, now, now+600, rand.Text())
	id, err := n.sign(claims)
	if err == nil {
		var access string
		if access, err = n.sign(claims); err == nil && n.commit(w) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"id_token":%q,"access_token":%q,"refresh_token":%q,"token_type":"Bearer","expires_in":600}`, id, access, rand.Text())
			return
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (n *Null) sign(claims string) (string, error) {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(head))
	der, err := ecdsa.SignASN1(rand.Reader, n.signing, digest[:])
	if err != nil {
		return "", err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return "", err
	}
	var raw [64]byte
	rs.R.FillBytes(raw[:32])
	rs.S.FillBytes(raw[32:])
	return head + "." + base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

// password costs one hash with the house's parameters (19 MiB, two passes, one lane) and nothing more: no commit.
func (n *Null) password(w http.ResponseWriter, r *http.Request) {
	argon2.IDKey([]byte(r.PostFormValue("password")), []byte("sixteen bytes ok"), 2, 19<<10, 1, 32)
	io.WriteString(w, "{}")
}

func (n *Null) commit(w http.ResponseWriter) bool {
	if err := n.commits.add(strings.Repeat(rand.Text(), 8)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return false
	}
	return true
}
