package bench

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
)

// requests answers a phone's signed call: one request waits, always.
func (n *Null) requests(w http.ResponseWriter, r *http.Request) {
	if err := n.checkCall(r); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"now":0,"requests":[{"id":"uMMWX9s4o1I-rcs1yxRZaQ","account":"06ggpjnxj1h46qvzt6kxmx9zg9","digits":2}]}`)
}

// answer checks the three signatures of a phone's decision: the call's, the decision's and the passkey's that unlocked it.
func (n *Null) answer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Answer string          `json:"answer"`
		Unlock json.RawMessage `json:"unlock"`
	}
	err := n.checkCall(r)
	if err == nil {
		err = json.NewDecoder(r.Body).Decode(&body)
	}
	if err == nil {
		err = n.checkJWS(body.Answer)
	}
	if err == nil {
		err = n.checkAssertion(body.Unlock)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"standing":"approved"}`)
}

func (n *Null) checkCall(r *http.Request) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Device ")
	if !ok {
		return errors.New("not signed")
	}
	return n.checkJWS(token)
}

// checkJWS checks a compact JWS (RFC 7515) by ES256 and everybody's key.
func (n *Null) checkJWS(token string) error {
	at := strings.LastIndexByte(token, '.')
	if at < 0 {
		return errors.New("no JWS")
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil || len(signature) != 64 {
		return errors.New("no signature")
	}
	digest := sha256.Sum256([]byte(token[:at]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(n.people, digest[:], r, s) {
		return errors.New("wrong signature")
	}
	return nil
}
