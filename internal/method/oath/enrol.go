package oath

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/qrcode"
	"github.com/gatehouse-id/gatehouse/internal/secret"
)

// OfferFor is how long a new secret may wait for its first code.
const OfferFor = 30 * time.Minute

// Offered is Prompt.Public of a registration.
type Offered struct {
	// Secret is base32 in groups of four for typing (RFC 4648 section 6).
	Secret string `json:"secret_base32"`
	// URI is what the QR code says: otpauth://totp/…
	URI string `json:"uri"`
	// QRPath is an SVG path's d attribute in a viewBox "0 0 QRSize QRSize", one unit a module, with a quiet zone of
	// four; dark on light.
	QRPath string `json:"qr_path"`
	QRSize int    `json:"qr_size"`
	Digits int    `json:"digits"`
	Period int    `json:"period"` // seconds
}

type offered struct {
	Subject string `json:"u"`
	Issued  int64  `json:"i"` // Unix microseconds
	Record  record `json:"r"`
}

// Offer makes a secret of 160 bits, or shows the one again that a wrong code was just given for: the person's app has
// it already, and a typing error is no reason to begin anew.
func (m *Method) Offer(in method.OfferInput) (method.Prompt, error) {
	o := offered{Subject: in.Subject.ID, Issued: in.Now.UnixMicro()}
	o.Record = record{Secret: newSecret(), Algorithm: m.set.Algorithm, Digits: m.set.Digits, Period: int64(m.set.Period / time.Second)}
	var before offered
	if json.Unmarshal(in.Again, &before) == nil && len(before.Record.Secret) > 0 && before.Subject == in.Subject.ID &&
		in.Now.Before(time.UnixMicro(before.Issued).Add(OfferFor)) {
		o = before
	}
	r := o.Record
	account := in.Subject.Username
	if account == "" {
		account = in.Subject.Email
	}
	uri := keyURI(m.set.Issuer, account, r)
	path, size, err := qrcode.Path(uri)
	if err != nil {
		return method.Prompt{}, err
	}
	public, err := json.Marshal(Offered{
		Secret: grouped(r.Secret), URI: uri, QRPath: path, QRSize: size, Digits: r.Digits, Period: int(r.Period),
	})
	if err != nil {
		return method.Prompt{}, err
	}
	state, err := json.Marshal(o)
	if err != nil {
		return method.Prompt{}, err
	}
	return method.Prompt{Public: public, State: state}, nil
}

// Enrol wants one right code, so that a secret that was not taken over does not become a method.
func (m *Method) Enrol(in method.EnrolInput) (method.Credential, error) {
	var o offered
	if err := json.Unmarshal(in.State, &o); err != nil || len(o.Record.Secret) == 0 || o.Subject != in.Subject.ID ||
		in.Now.After(time.UnixMicro(o.Issued).Add(OfferFor)) {
		return method.Credential{}, fault.New(fault.BadInput, "totp.expired", "This page waited too long. Start adding the authenticator app again.")
	}
	r := o.Record
	found, ok := r.search(clean(in.Answer.Text), step(in.Now, r.period()), ResyncSteps, ResyncSteps)
	drift := found - step(in.Now, r.period())
	switch {
	case !ok:
		return method.Credential{}, fault.New(fault.BadInput, "totp.wrong", "This passcode is not right. Enter the one that the app shows now.")
	case drift < -MaxDrift || drift > MaxDrift:
		return method.Credential{}, fault.New(fault.BadInput, "totp.clock", "The clock of your phone is wrong. Set it to automatic, then enter the passcode that the app shows now.")
	}
	if drift == -1 {
		drift = 0 // slow fingers, most likely
	}
	r.Last, r.Drift = found, drift
	state, err := json.Marshal(r)
	if err != nil {
		return method.Credential{}, err
	}
	return method.Credential{Kind: method.TOTP, Name: in.Name, State: state}, nil
}

// keyURI is the Key Uri Format that authenticator apps read. Values that are an app's default are written too.
func keyURI(issuer, account string, r record) string {
	// A colon separates issuer and account, so neither may hold one.
	issuer, account = strings.ReplaceAll(issuer, ":", " "), strings.ReplaceAll(account, ":", " ")
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=%s&digits=%d&period=%d",
		url.PathEscape(issuer), url.PathEscape(account), base32Secret(r.Secret), url.PathEscape(issuer), r.Algorithm, r.Digits, r.Period)
}

func base32Secret(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

func grouped(secret []byte) string {
	var b strings.Builder
	for i, c := range base32Secret(secret) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Issued is a secret for an app that takes it over by itself, without anybody copying it.
type Issued struct {
	// State is the credential's. Nothing was proven with it yet.
	State     []byte
	Secret    secret.String // base32 (RFC 4648 section 6), without padding
	Algorithm Algorithm
	Digits    int
	Period    int // seconds
}

// Issue makes a secret that is handed over machine to machine, with a phone's pairing: nobody can mistype it.
func (m *Method) Issue() (Issued, error) {
	r := record{Secret: newSecret(), Algorithm: m.set.Algorithm, Digits: m.set.Digits, Period: int64(m.set.Period / time.Second)}
	state, err := json.Marshal(r)
	return Issued{State: state, Secret: secret.NewString(base32Secret(r.Secret)), Algorithm: r.Algorithm, Digits: r.Digits, Period: int(r.Period)}, err
}
