package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Schedule is when keys change. The zero value stands for DefaultSchedule.
type Schedule struct {
	// Every is how long a key signs.
	Every time.Duration
	// Ahead is how long a key is published before it signs; longer than any relying party caches the key set.
	Ahead time.Duration
	// Keep is how long a retired key stays published; longer than any token lives.
	Keep time.Duration
}

// DefaultSchedule changes keys each quarter, publishes the next one 48 hours ahead (relying parties are told to cache
// the key set for an hour; some cache for a day all the same), and keeps the last one for two days (tokens live ten
// minutes; an ID token comes back as a hint at sign-out within the session's day).
func DefaultSchedule() Schedule {
	return Schedule{Every: 90 * 24 * time.Hour, Ahead: 48 * time.Hour, Keep: 48 * time.Hour}
}

// Move is one step of a rotation.
type Move struct {
	Key      string // "" where a key must be made
	From, To State
	// Make is the algorithm of a key to be made in state To.
	Make string
	// Drop removes the key.
	Drop bool
}

// Moves says what the rotation owes now for one algorithm, in the order in which it must be done. Doing a part of it
// is harmless: the rest is owed the next time.
func Moves(all []Key, algorithm string, schedule Schedule, now time.Time) []Move {
	var active, next, retired []Key
	for _, k := range all {
		if k.Algorithm != algorithm {
			continue
		}
		switch k.State {
		case Active:
			active = insert(active, k)
		case Next:
			next = insert(next, k)
		case Retired:
			retired = append(retired, k)
		}
	}
	var moves []Move
	for _, k := range retired {
		if !now.Before(k.Changed.Add(schedule.Keep)) {
			moves = append(moves, Move{Key: k.ID, From: Retired, Drop: true})
		}
	}
	if len(active) == 0 {
		if len(next) > 0 {
			return append(moves, Move{Key: next[0].ID, From: Next, To: Active})
		}
		return append(moves, Move{Make: algorithm, To: Active})
	}
	for _, k := range active[1:] {
		moves = append(moves, Move{Key: k.ID, From: Active, To: Retired})
	}
	due := active[0].Changed.Add(schedule.Every)
	switch {
	case len(next) == 0 && !now.Before(due.Add(-schedule.Ahead)):
		moves = append(moves, Move{Make: algorithm, To: Next})
	case len(next) > 0 && !now.Before(due) && !now.Before(next[0].Changed.Add(schedule.Ahead)):
		moves = append(moves,
			Move{Key: next[0].ID, From: Next, To: Active},
			Move{Key: active[0].ID, From: Active, To: Retired})
	}
	return moves
}

// insert keeps keys oldest first.
func insert(keys []Key, k Key) []Key {
	i := 0
	for i < len(keys) && older(keys[i], k) {
		i++
	}
	keys = append(keys, Key{})
	copy(keys[i+1:], keys[i:])
	keys[i] = k
	return keys
}

// Generate makes a key pair of the algorithm (P-256, or RSA of 2048 bits), sealed and ready to be stored. It is slow
// for RS256 (a few hundred milliseconds) and so never runs inside a transaction.
func Generate(algorithm string, state State, seal func(where string, plain []byte) []byte, now time.Time) (Key, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("keys: no algorithm %q", algorithm)
	}
	if err != nil {
		return Key{}, err
	}
	id, err := Thumbprint(private.Public())
	if err != nil {
		return Key{}, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: id, Algorithm: algorithm, State: state, Public: private.Public(), Private: private,
		Sealed: seal(place(id), plain), Created: now, Changed: now}, nil
}

// Open unseals a stored key. It checks that what opens is the key that its id names.
func Open(k Key, unseal func(where string, sealed []byte) ([]byte, error)) (Key, error) {
	plain, err := unseal(place(k.ID), k.Sealed)
	if err != nil {
		return Key{}, fmt.Errorf("keys: %s: %w", k.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return Key{}, fmt.Errorf("keys: %s: %w", k.ID, err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return Key{}, fmt.Errorf("keys: %s: %T does not sign", k.ID, parsed)
	}
	if id, err := Thumbprint(private.Public()); err != nil || id != k.ID {
		return Key{}, fmt.Errorf("keys: %s holds another key", k.ID)
	}
	k.Private, k.Public = private, private.Public()
	return k, nil
}

// Thumbprint is the key id: the JWK thumbprint with SHA-256 (RFC 7638), base64url.
func Thumbprint(public crypto.PublicKey) (string, error) {
	jwk := jose.JSONWebKey{Key: public}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func place(id string) string { return "signing_keys/sealed/" + id }
