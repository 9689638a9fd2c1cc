package browser

import (
	"context"

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

// Take puts a key into it: a copy of another's makes a clone. Extensions are left behind.
func (a *Authenticator) Take(c *webauthn.Credential) error {
	_, err := chromedp.Call(a.tab.ctx, webauthn.AddCredential, webauthn.AddCredentialParams{AuthenticatorID: a.id, Credential: &webauthn.Credential{
		CredentialID: c.CredentialID, IsResidentCredential: c.IsResidentCredential, RpID: c.RpID, PrivateKey: c.PrivateKey,
		UserHandle: c.UserHandle, SignCount: c.SignCount, BackupEligibility: c.BackupEligibility, BackupState: c.BackupState}})
	return err
}
