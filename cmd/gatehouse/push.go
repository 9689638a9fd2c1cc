package main

import (
	"context"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/courier/webpush"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/signin"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// settingPushKey holds the sealed key that pushes are signed with (VAPID). Every phone's browser has subscribed for
// this one: with another, each would have to subscribe again, so it never changes by itself.
const settingPushKey = "push.key"

// openPush gets the key that pushes are signed with, and what carries them. Of two nodes that start at once on a new
// database, one key stays. Without push it does nothing.
func (h *house) openPush(ctx context.Context) error {
	if h.Push == nil {
		return nil
	}
	key, err := h.keyForPush(ctx)
	if err != nil {
		return err
	}
	inTx, view := store.Bind[webpush.Store](h.db)
	p, err := webpush.New(webpush.Courier{InTx: inTx, View: view, Key: key, Hosts: h.hosts, Subject: h.Push.Contact, Roots: h.Push.Roots,
		Now: h.Now, Log: h.Log})
	if err != nil {
		return err
	}
	h.pushKey = key.Public()
	h.pusher.Store(p)
	return nil
}

func (h *house) keyForPush(ctx context.Context) (*webpush.Key, error) {
	sealed, err := h.setting(ctx, settingPushKey)
	if err != nil {
		return nil, err
	}
	if sealed == nil {
		if sealed, err = h.newPushKey(ctx); err != nil {
			return nil, err
		}
	}
	plain, err := h.Keyring.Open("settings/"+settingPushKey, sealed)
	if err != nil {
		return nil, fmt.Errorf("the key for pushes does not open: %w", secret.ErrSealed)
	}
	return webpush.ParseKey(plain)
}

// newPushKey saves a new key where there is none yet, and gives whichever is there then.
func (h *house) newPushKey(ctx context.Context) (sealed []byte, err error) {
	key, err := webpush.NewKey()
	if err != nil {
		return nil, err
	}
	plain, err := key.PKCS8()
	if err != nil {
		return nil, err
	}
	mine := h.Keyring.Seal("settings/"+settingPushKey, plain)
	err = h.db.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.AddSetting(ctx, settingPushKey, mine); err != nil {
			return err
		}
		sealed, err = tx.Setting(ctx, settingPushKey)
		return err
	})
	return sealed, err
}

// push says to the phones that a challenge waits; without push they look by themselves.
func (h *house) push(c signin.Challenge) {
	if p := h.pusher.Load(); p != nil {
		p.Push(c)
	}
}

// pushAllowed reports whether a phone may name this endpoint.
func (h *house) pushAllowed(endpoint string) bool { return h.hosts != nil && h.hosts.Allowed(endpoint) }
