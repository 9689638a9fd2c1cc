package softphone

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/method/passkey/softkey"
)

// file is a phone as it lies on a disk.
type file struct {
	Origin   string     `json:"origin"`
	Server   string     `json:"server"`
	Key      []byte     `json:"key,omitempty"` // the private number
	Device   string     `json:"device,omitempty"`
	Account  string     `json:"account,omitempty"`
	Unlocks  bool       `json:"unlocks,omitempty"`
	Pairing  string     `json:"pairing,omitempty"`
	Passcode passcode   `json:"passcode"`
	Passkeys []platform `json:"passkeys,omitempty"`
	PushKey  []byte     `json:"push_key,omitempty"`
	PushAuth []byte     `json:"push_auth,omitempty"`
	Skew     int64      `json:"skew,omitempty"`
}

type platform struct {
	ID         []byte `json:"id"`
	RPID       string `json:"rp_id"`
	UserHandle []byte `json:"user_handle"`
	Key        []byte `json:"key"`
	Counter    uint32 `json:"counter"`
}

// MarshalJSON writes all that the phone keeps, its keys in the clear.
func (p *Phone) MarshalJSON() ([]byte, error) {
	f := file{Origin: p.origin, Server: p.server, Device: p.device, Account: p.account, Unlocks: p.unlocks, Pairing: p.pairing, Passcode: p.secret, Skew: p.skew.Load()}
	var err error
	if p.key != nil {
		if f.Key, err = p.key.Bytes(); err != nil {
			return nil, err
		}
	}
	for _, c := range p.Platform.Credentials() {
		key, err := c.Key.Bytes()
		if err != nil {
			return nil, err
		}
		f.Passkeys = append(f.Passkeys, platform{c.ID, c.RPID, c.UserHandle, key, c.Counter})
	}
	if p.push != nil {
		f.PushKey, f.PushAuth = p.push.key.Bytes(), p.push.auth
	}
	return json.MarshalIndent(f, "", "  ")
}

// UnmarshalJSON reads what MarshalJSON wrote. Client and Now stay as they are, where they are set.
func (p *Phone) UnmarshalJSON(b []byte) error {
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	k := kept{origin: f.Origin, server: f.Server, device: f.Device, account: f.Account, unlocks: f.Unlocks, pairing: f.Pairing, secret: f.Passcode}
	var err error
	if f.Key != nil {
		if k.key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), f.Key); err != nil {
			return err
		}
	}
	keys := softkey.New(f.Origin)
	for _, c := range f.Passkeys {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), c.Key)
		if err != nil {
			return err
		}
		keys.Add(softkey.Credential{ID: c.ID, RPID: c.RPID, UserHandle: c.UserHandle, Key: key, Counter: c.Counter})
	}
	if f.PushKey != nil {
		k.push = &subscription{auth: f.PushAuth}
		if k.push.key, err = ecdh.P256().NewPrivateKey(f.PushKey); err != nil {
			return err
		}
	}
	p.kept, p.Platform = k, keys
	p.skew.Store(f.Skew)
	if p.Now == nil {
		p.Now = time.Now
	}
	return nil
}

// Save writes the phone to a file that only its owner reads, whole or not at all.
func (p *Phone) Save(path string) error {
	b, err := p.MarshalJSON()
	if err != nil {
		return err
	}
	t, err := os.CreateTemp(filepath.Dir(path), ".phone-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(t.Name())
	if _, err := t.Write(append(b, '\n')); err != nil {
		t.Close()
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}

// Load reads a phone from a file that Save wrote.
func Load(path string, client *http.Client) (*Phone, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &Phone{Client: client}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s is no phone: %w", path, err)
	}
	return p, nil
}
