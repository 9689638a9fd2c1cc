package demo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Known is what an application learned of somebody, in plain words.
type Known struct {
	Name   string // display name
	Login  string // preferred_username
	Sure   string // how surely, one sentence
	Proofs []string
	ACR    string
	AMR    string
	At     time.Time // of the latest proof
	Strong bool      // phishing-resistant
}

// amrWords are RFC 8176's values in plain words.
var amrWords = map[string]string{
	"pwd": "a password", "otp": "a passcode from an authenticator app", "hwk": "a key in a device", "swk": "a key kept in software",
	"pop": "a signature by a key", "user": "presence at the device", "pin": "a PIN", "fpt": "a fingerprint", "face": "a face",
	"mfa": "", "sms": "a text message", "phr": "", "phrh": "",
}

// know reads the claims that say how surely this person is who they say.
func know(claims map[string]any) Known {
	text := func(name string) string { s, _ := claims[name].(string); return s }
	k := Known{Name: text("name"), Login: text("preferred_username"), ACR: text("acr")}
	if k.Name == "" {
		k.Name = cmp.Or(k.Login, text("sub"))
	}
	list, _ := claims["amr"].([]any)
	var amr []string
	for _, v := range list {
		s, _ := v.(string)
		amr = append(amr, s)
		if word, ok := amrWords[s]; !ok {
			k.Proofs = append(k.Proofs, s)
		} else if word != "" {
			k.Proofs = append(k.Proofs, word)
		}
	}
	k.AMR = strings.Join(amr, ", ")
	if at, ok := claims["auth_time"].(float64); ok {
		k.At = time.Unix(int64(at), 0)
	}
	k.Strong = k.ACR == "phr" || k.ACR == "phrh" || strings.Contains(k.ACR, "phishing-resistant")
	switch {
	case k.Strong:
		k.Sure = "With a proof that cannot be phished: it works only at the real sign-in page."
	case slices.Contains(amr, "mfa") || len(k.Proofs) > 1 || strings.HasSuffix(k.ACR, "/mfa"):
		k.Sure = "With two different proofs: stealing one of them is not enough."
	default:
		k.Sure = "With one proof only."
	}
	return k
}

func compare(a, b string) int { return cmp.Compare(a, b) }

// ago writes an age for a person.
func ago(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprintf("%d %ss ago", n, unit)
	}
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return count(int(d.Hours()), "hour")
	}
	return count(int(d.Hours()/24), "day")
}
