package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// A token is used for tokenUse and valid for tokenFor: an hour is left when it is used last, and RFC 8292 section 2
	// allows 24 hours.
	tokenUse = 12 * time.Hour
	tokenFor = 13 * time.Hour
	// maxTokens bounds the cache; the push services have a few hundred host names between them.
	maxTokens = 256
)

// Key is what the house signs pushes with (VAPID, RFC 8292), P-256. Browsers subscribe for it alone: with another key
// every phone has to subscribe again.
type Key struct {
	private *ecdsa.PrivateKey
	public  string
	signer  jose.Signer

	mu     sync.Mutex
	tokens map[string]token // by origin and subject
}

type token struct {
	jwt   string
	until time.Time
}

// NewKey makes one.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return newKey(private)
}

// ParseKey reads PKCS #8 (DER), as Key.PKCS8 writes it, or the 32 bytes of the private number.
func ParseKey(b []byte) (*Key, error) {
	if len(b) == 32 {
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b)
		if err != nil {
			return nil, fmt.Errorf("webpush: key: %w", err)
		}
		return newKey(private)
	}
	any, err := x509.ParsePKCS8PrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("webpush: key: %w", err)
	}
	private, ok := any.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("webpush: the key is no P-256 key")
	}
	return newKey(private)
}

func newKey(private *ecdsa.PrivateKey) (*Key, error) {
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	return &Key{private: private, public: base64.RawURLEncoding.EncodeToString(point), signer: signer, tokens: map[string]token{}}, nil
}

// PKCS8 gives the private key. Keep it sealed.
func (k *Key) PKCS8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.private) }

// Public is what browsers subscribe with (applicationServerKey): 65 bytes, base64url.
func (k *Key) Public() string { return k.public }

// authorization is the header for one push service. subject is checked by CheckSubject.
func (k *Key) authorization(origin, subject string, now time.Time) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := origin + " " + subject
	t, ok := k.tokens[name]
	if !ok || !now.Before(t.until) || t.until.Sub(now) > tokenUse {
		payload, err := json.Marshal(map[string]any{"aud": origin, "exp": now.Add(tokenFor).Unix(), "sub": subject})
		if err != nil {
			return "", err
		}
		signed, err := k.signer.Sign(payload)
		if err != nil {
			return "", err
		}
		jwt, err := signed.CompactSerialize()
		if err != nil {
			return "", err
		}
		if len(k.tokens) >= maxTokens {
			clear(k.tokens)
		}
		t = token{jwt, now.Add(tokenUse)}
		k.tokens[name] = t
	}
	return "vapid t=" + t.jwt + ", k=" + k.public, nil
}

// CheckSubject accepts what push services may use to reach the operator: mailto: or https: (RFC 8292 section 2.1).
// Apple's refuses a push without, and "mailto:somebody@localhost".
func CheckSubject(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > 300 || strings.ContainsAny(s, " <>\"\r\n\t"):
	case u.Scheme == "mailto" && strings.Count(u.Opaque, "@") == 1 && !strings.HasPrefix(u.Opaque, "@") && !strings.HasSuffix(u.Opaque, "@"):
		return nil
	case u.Scheme == "https" && u.Host != "" && u.User == nil:
		return nil
	}
	return fmt.Errorf("webpush: %q: the push services want an address to write to, like mailto:postmaster@example.ac.uk", s)
}
