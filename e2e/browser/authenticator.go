package browser

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Authenticator is a virtual one, plugged into a tab.
type Authenticator struct {
	tab *Tab
	id  webauthn.AuthenticatorID
}

// Authenticator plugs in a platform authenticator that knows its user, keeps discoverable credentials and answers at
// once. synced says that its passkeys are backed up.
func (t *Tab) Authenticator(synced bool) (*Authenticator, error) {
	return t.plug(webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Ctap2version: "ctap2_1", Transport: "internal",
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		DefaultBackupEligibility: synced, DefaultBackupState: synced,
	})
}

// SecurityKey plugs in a key on USB, as Authenticator.
func (t *Tab) SecurityKey() (*Authenticator, error) {
	return t.plug(webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Ctap2version: "ctap2_1", Transport: "usb",
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	})
}

func (t *Tab) plug(o webauthn.VirtualAuthenticatorOptions) (*Authenticator, error) {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		return nil, err
	}
	got, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &o})
	return &Authenticator{t, got.AuthenticatorID}, err
}

// Unplug takes the authenticator away, with its keys.
func (a *Authenticator) Unplug() error {
	_, err := chromedp.Call(a.tab.ctx, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
	return err
}

// Present says whether somebody touches it when it is asked.
func (a *Authenticator) Present(yes bool) error {
	_, err := chromedp.Call(a.tab.ctx, webauthn.SetAutomaticPresenceSimulation,
		webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: yes})
	return err
}

// Credentials are the keys that it keeps.
func (a *Authenticator) Credentials() ([]*webauthn.Credential, error) {
	got, err := chromedp.Call(a.tab.ctx, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id})
	return got.Credentials, err
}

// keyToAdd is what WebAuthn.addCredential takes. The generated type always sends a field of an extension that Debian's
// Chromium refuses.
type keyToAdd struct {
	AuthenticatorID webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential      struct {
		ID         []byte  `json:"credentialId"`
		Resident   bool    `json:"isResidentCredential"`
		RPID       string  `json:"rpId"`
		PrivateKey []byte  `json:"privateKey"`
		UserHandle []byte  `json:"userHandle"`
		Count      float64 `json:"signCount"`
		Eligible   bool    `json:"backupEligibility"`
		BackedUp   bool    `json:"backupState"`
	} `json:"credential"`
}

// Take puts a key into it: a copy of another's makes a clone. Extensions are left behind.
func (a *Authenticator) Take(c *webauthn.Credential) error {
	k := keyToAdd{AuthenticatorID: a.id}
	k.Credential.ID, k.Credential.Resident, k.Credential.RPID = c.CredentialID, c.IsResidentCredential, c.RpID
	k.Credential.PrivateKey, k.Credential.UserHandle, k.Credential.Count = c.PrivateKey, c.UserHandle, c.SignCount
	k.Credential.Eligible, k.Credential.BackedUp = c.BackupEligibility, c.BackupState
	_, err := chromedp.Call(a.tab.ctx, cdp.Command[keyToAdd, cdp.Empty]{Method: webauthn.CommandAddCredential}, k)
	return err
}
