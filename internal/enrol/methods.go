package enrol

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/method"
	"github.com/gatehouse-id/gatehouse/internal/people"
	"github.com/gatehouse-id/gatehouse/internal/policy"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/signin"
)

// offer is what Offer.Sealed holds: the question, for one browser, one session (or invitation) and one kind.
type offer struct {
	ID    string      `json:"i"`
	Kind  method.Kind `json:"k"`
	State []byte      `json:"s"`
	// Sent is set where something was sent for it (see send.go), in Unix microseconds.
	Sent int64 `json:"t,omitempty"`
}

// asked is what an offer is made from: the sealed one that was just answered wrongly, or "" (a stale or foreign one
// counts as none); or what was typed before there is anything to offer, and how the person wants to be reached.
type asked struct {
	again      string
	typed, via string
}

// bound says to whom an offer belongs.
func bound(caller signin.Caller, to string) string {
	return hex.EncodeToString(secret.Hash(caller.Browser.Reveal())) + "|" + to
}

// sealOffer makes an offer that sends nothing.
func (f *Flow) sealOffer(binding string, p people.Person, kind method.Kind, existing []method.Credential, again string) (Offer, error) {
	o, prompt, err := f.makeOffer(binding, p, kind, existing, asked{again: again})
	if err != nil {
		return Offer{}, err
	}
	return f.packOffer(binding, o, prompt, existing)
}

func (f *Flow) makeOffer(binding string, p people.Person, kind method.Kind, existing []method.Credential, a asked) (offer, method.Prompt, error) {
	m, err := f.method(kind)
	if err != nil {
		return offer{}, method.Prompt{}, err
	}
	now := f.Now()
	in := method.OfferInput{Subject: subject(p), Existing: ofKind(existing, kind), Now: now, Answer: method.Answer{Text: a.typed}, Via: a.via}
	var before offer
	if a.again != "" && f.Box.Unpack("enrol", binding, a.again, now, &before) == nil && before.Kind == kind {
		in.Again = before.State
	}
	prompt, err := m.Offer(in)
	o := offer{ID: secret.Token(16).Reveal(), Kind: kind, State: prompt.State}
	if before.Sent != 0 && bytes.Equal(before.State, prompt.State) {
		o.Sent = before.Sent // the same code again: its tries go on being counted
	}
	return o, prompt, err
}

func (f *Flow) packOffer(binding string, o offer, prompt method.Prompt, existing []method.Credential) (Offer, error) {
	sealed, err := f.Box.Pack("enrol", binding, o, f.Now().Add(OfferFor))
	return Offer{Kind: o.Kind, Public: prompt.Public, Sealed: sealed, Name: suggestedName(ofKind(existing, o.Kind))}, err
}

// suggestedName numbers a label; the page puts the method's name before it where it is empty.
func suggestedName(existing []method.Credential) string {
	if len(existing) == 0 {
		return ""
	}
	return fmt.Sprint(len(existing) + 1)
}

// openOffer reads a sealed offer; anything that is not one of this kind and binding is errOffer.
func (f *Flow) openOffer(binding, sealed string, kind method.Kind) (offer, error) {
	var o offer
	if err := f.Box.Unpack("enrol", binding, sealed, f.Now(), &o); err != nil || o.Kind != kind {
		return offer{}, errOffer
	}
	return o, nil
}

// enrolled judges the answer to an offer, outside every transaction but for the count of tries where a code was sent.
func (f *Flow) enrolled(ctx context.Context, binding, sealed, name string, p people.Person, kind method.Kind, existing []method.Credential,
	answer method.Answer) (method.Credential, offer, error) {
	m, err := f.method(kind)
	if err != nil {
		return method.Credential{}, offer{}, err
	}
	o, err := f.openOffer(binding, sealed, kind)
	if err == nil {
		err = f.countTry(ctx, p, o)
	}
	if err != nil {
		return method.Credential{}, o, err
	}
	now := f.Now()
	c, err := m.Enrol(method.EnrolInput{
		Subject: subject(p), Existing: ofKind(existing, kind), State: o.State, Answer: answer,
		Name: Label(name, string(kind)), Now: now,
	})
	if err != nil {
		return c, o, err
	}
	c.ID, c.Person, c.Kind, c.Created, c.LastUsed = secret.NewID(now), string(p.ID), kind, now, time.Time{}
	if Label(name, "") != "" || c.Name == "" {
		c.Name = Label(name, string(kind))
	}
	return c, o, nil
}

// save adds a credential that was just enrolled: its offer is spent and the kind's limit holds, in the same write.
func (f *Flow) save(ctx context.Context, s Store, o offer, c method.Credential, now time.Time) ([]method.Credential, error) {
	first, err := s.SpendOnce(ctx, secret.Hash("offer|"+o.ID), now.Add(OfferFor))
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, errOffer
	}
	all, err := s.CredentialsOf(ctx, c.Person)
	if err != nil {
		return nil, err
	}
	if err := f.withinLimit(c.Kind, all); err != nil {
		return nil, err
	}
	if f.Methods[c.Kind].Traits().Replaced {
		for _, old := range ofKind(all, c.Kind) {
			if _, err := s.RemoveCredential(ctx, c.Person, old.ID); err != nil {
				return nil, err
			}
		}
		all = slices.DeleteFunc(all, func(o method.Credential) bool { return o.Kind == c.Kind })
	}
	return append(all, c), s.AddCredential(ctx, c)
}

// withinLimit says whether one more of kind may be had. A kind that is replaced as a whole makes room for itself, and
// what lies on a device is counted as the device.
func (f *Flow) withinLimit(kind method.Kind, all []method.Credential) error {
	m, err := f.method(kind)
	if err != nil {
		return err
	}
	if t := m.Traits(); t.Limit > 0 && !t.Replaced && len(counted(all, kind)) >= t.Limit {
		return errLimit(t.Limit)
	}
	return nil
}

func errLimit(limit int) error {
	return fault.New(fault.Conflict, "method.limit", "You have as many of these as you may have. Remove one first.").With("limit", limit)
}

// OfferMethod begins adding. The proof for (method.add, kind) must be in hand; it is consumed by AddMethod.
func (f *Flow) OfferMethod(ctx context.Context, caller signin.Caller, kind method.Kind) (Offer, error) {
	return f.OfferMethodAgain(ctx, caller, kind, "")
}

// OfferMethodAgain offers once more after a wrong answer to sealed: what the person's app holds already stays good.
func (f *Flow) OfferMethodAgain(ctx context.Context, caller signin.Caller, kind method.Kind, sealed string) (Offer, error) {
	var m member
	var all []method.Credential
	err := f.View(ctx, func(s Store) (err error) {
		m, all, err = f.mayOffer(ctx, s, caller, kind)
		return err
	})
	if err != nil {
		return Offer{}, err
	}
	return f.sealOffer(bound(caller, m.live.ID), m.person, kind, all, sealed)
}

// mayOffer is provenFor where one more of the kind may be had.
func (f *Flow) mayOffer(ctx context.Context, s Store, caller signin.Caller, kind method.Kind) (member, []method.Credential, error) {
	m, all, err := f.provenFor(ctx, s, caller, kind)
	if err == nil {
		err = f.withinLimit(kind, all)
	}
	return m, all, err
}

// provenFor enters and looks for the proof that adding kind needs, without consuming it.
func (f *Flow) provenFor(ctx context.Context, s Store, caller signin.Caller, kind method.Kind) (member, []method.Credential, error) {
	m, err := f.enter(ctx, s, caller)
	if err != nil {
		return m, nil, err
	}
	ok, err := s.HasProof(ctx, m.live.ID, policy.ActMethodAdd, string(kind), m.now.Add(-ProofFor))
	if err != nil {
		return m, nil, err
	}
	if !ok {
		return m, nil, errProof
	}
	all, err := s.CredentialsOf(ctx, string(m.person.ID))
	return m, all, err
}

// AddMethod finishes; the proof and the offer are consumed with the change. An answer that does not fit (a mistyped
// code) consumes neither, so that it can be typed again while the proof lasts.
func (f *Flow) AddMethod(ctx context.Context, caller signin.Caller, kind method.Kind, sealed, name string, answer method.Answer) (Done, error) {
	var m member
	var all []method.Credential
	err := f.View(ctx, func(s Store) (err error) {
		m, all, err = f.provenFor(ctx, s, caller, kind)
		return err
	})
	if err != nil {
		return Done{}, err
	}
	c, o, err := f.enrolled(ctx, bound(caller, m.live.ID), sealed, name, m.person, kind, all, answer)
	if err != nil {
		return Done{}, err
	}
	return f.change(ctx, caller, policy.ActMethodAdd, string(kind), "method.added",
		func(ctx context.Context, s Store, m member, e *audit.Entry, done *Done) (map[string]string, error) {
			before, err := s.CredentialsOf(ctx, string(m.person.ID))
			if err != nil {
				return nil, err
			}
			c.HeldUntil = inherited(before, m.now)
			now, err := f.save(ctx, s, o, c, m.now)
			if err != nil {
				return nil, err
			}
			e.Object, e.Detail["method"] = c.ID, string(kind)
			if len(now) <= len(before) {
				e.Detail["replaced"] = "yes"
			}
			done.CredentialID = c.ID
			accept(done, m.person, kind, now)
			return map[string]string{"method": string(kind), "label": c.Name}, f.tellNumbers(ctx, s, m.caller, m.person, kind, before)
		})
}

// accept tells the page which passkeys there are now, so that the browser can be told (WebAuthn section 5.1.10).
func accept(done *Done, p people.Person, changed method.Kind, all []method.Credential) {
	if changed != method.Passkey {
		return
	}
	done.UserHandle, done.AcceptedPasskeys = []byte(p.ID), [][]byte{}
	for _, c := range ofKind(all, method.Passkey) {
		done.AcceptedPasskeys = append(done.AcceptedPasskeys, c.Handle)
	}
}

// RenameMethod gives a method another label.
func (f *Flow) RenameMethod(ctx context.Context, caller signin.Caller, credential, name string) (Done, error) {
	label := Label(name, "")
	if label == "" {
		return Done{}, fault.New(fault.BadInput, "method.name_missing", "Give it a name of up to 60 characters.").With("max", MaxName)
	}
	return f.change(ctx, caller, policy.ActMethodRename, credential, "method.renamed",
		func(ctx context.Context, s Store, m member, e *audit.Entry, _ *Done) (map[string]string, error) {
			all, err := s.CredentialsOf(ctx, string(m.person.ID))
			if err != nil {
				return nil, err
			}
			c, err := owned(all, credential)
			if err != nil {
				return nil, err
			}
			e.Detail["method"] = string(c.Kind)
			params := map[string]string{"method": string(c.Kind), "label": label, "before": c.Name}
			c.Name = label
			return params, s.UpdateCredential(ctx, c)
		})
}

// RemoveMethod removes a method, unless without it the member could not sign in any more, or by the password alone.
// Their other sessions end, and this one has a new token.
func (f *Flow) RemoveMethod(ctx context.Context, caller signin.Caller, credential string) (Done, error) {
	return f.change(ctx, caller, policy.ActMethodRemove, credential, "method.removed",
		func(ctx context.Context, s Store, m member, e *audit.Entry, done *Done) (map[string]string, error) {
			all, err := s.CredentialsOf(ctx, string(m.person.ID))
			if err != nil {
				return nil, err
			}
			c, err := owned(all, credential)
			if err != nil {
				return nil, err
			}
			if built, ok := f.Methods[c.Kind]; ok && !built.Traits().Removable {
				return nil, fault.New(fault.Conflict, "method.not_removable", "This cannot be removed, only changed.")
			}
			rest := slices.DeleteFunc(slices.Clone(all), func(o method.Credential) bool { return o.ID == credential || o.Device == credential })
			inForce, err := s.PolicyInForce(ctx)
			if err != nil {
				return nil, err
			}
			if !c.Pending && !CanSignIn(f.SignIn, inForce, m.person, rest, m.now) {
				return nil, ErrLast
			}
			if _, err := s.RemoveCredential(ctx, string(m.person.ID), credential); err != nil {
				return nil, err
			}
			e.Detail["method"] = string(c.Kind)
			params := map[string]string{"method": string(c.Kind), "label": c.Name}
			if gone := len(all) - len(rest) - 1; gone > 0 {
				e.Detail["with"], params["with"] = fmt.Sprint(gone), fmt.Sprint(gone)
			}
			if c.Kind == method.App {
				s.Wake(signin.RequestsTopic(string(m.person.ID))) // it learns at once that it is one no more
			}
			accept(done, m.person, c.Kind, rest)
			if err := f.tellNumbers(ctx, s, m.caller, m.person, c.Kind, all); err != nil {
				return nil, err
			}
			return params, f.endOthers(ctx, s, m, e, done)
		})
}

// CanSignIn asks policy whether a person with these credentials and no proof yet could sign in to Gatehouse's own
// pages, and sees that something more than a password is among them. A stock that runs out (recovery codes) is no way
// to live on: it counts for nothing here.
func CanSignIn(flow *signin.Flow, inForce policy.Policy, p people.Person, all []method.Credential, now time.Time) bool {
	p.State = people.Active
	usable := slices.DeleteFunc(slices.Clone(all), func(c method.Credential) bool {
		return c.Pending || flow.Traits()[c.Kind].Replaced
	})
	more := slices.ContainsFunc(usable, func(c method.Credential) bool { return c.Kind != method.Password })
	return more && flow.Reachable(inForce, p, usable, now)
}

// endOthers ends the member's other sessions, all grants and other remembered browsers, and gives this session a new
// token: whoever was in with what was just taken away is out.
func (f *Flow) endOthers(ctx context.Context, s Store, m member, e *audit.Entry, done *Done) error {
	here, err := f.familyHere(ctx, s, m)
	if err != nil {
		return err
	}
	browsers, err := s.BrowsersOf(ctx, string(m.person.ID))
	if err != nil {
		return err
	}
	for _, b := range browsers {
		if b.Family == here {
			continue
		}
		if _, err := s.ForgetBrowser(ctx, b.Family); err != nil {
			return err
		}
	}
	ended, err := signin.EndSessions(ctx, s, m.person.ID, m.live.ID)
	if err != nil {
		return err
	}
	if _, err := s.RevokeGrantsOf(ctx, string(m.person.ID), ""); err != nil {
		return err
	}
	next, token := session.StepUp(m.live, m.now)
	if err := s.UpdateSession(ctx, next); err != nil {
		return err
	}
	e.Detail["sessions"] = fmt.Sprint(len(ended))
	done.SetSession = &token
	return nil
}

// SetLead chooses who is asked first; kind "" means the strongest.
func (f *Flow) SetLead(ctx context.Context, caller signin.Caller, kind method.Kind) (Done, error) {
	return f.change(ctx, caller, policy.ActMethodLead, string(kind), "method.lead",
		func(ctx context.Context, s Store, m member, e *audit.Entry, _ *Done) (map[string]string, error) {
			if kind != "" {
				if err := f.mayLead(ctx, s, m, kind); err != nil {
					return nil, err
				}
			}
			e.Detail["method"] = string(kind)
			p := m.person
			p.Lead, p.Updated = string(kind), m.now
			return map[string]string{"method": string(kind)}, s.UpdatePerson(ctx, p)
		})
}

func (f *Flow) mayLead(ctx context.Context, s Store, m member, kind method.Kind) error {
	all, err := s.CredentialsOf(ctx, string(m.person.ID))
	if err != nil {
		return err
	}
	inForce, err := s.PolicyInForce(ctx)
	if err != nil {
		return err
	}
	has := slices.ContainsFunc(all, func(c method.Credential) bool { return c.Kind == kind && !c.Pending })
	if !has || kind.Fallback() || len(inForce.Leads) > 0 && !slices.Contains(inForce.Leads, kind) {
		return fault.New(fault.Conflict, "method.cannot_lead", "This method cannot be the one that is asked for first.")
	}
	return nil
}

// ChangePassword sets a new password, or a first one for a member who has another method. Other sessions end.
func (f *Flow) ChangePassword(ctx context.Context, caller signin.Caller, password string) (Done, error) {
	var m member
	var all []method.Credential
	err := f.View(ctx, func(s Store) (err error) {
		if m, err = f.enter(ctx, s, caller); err != nil {
			return err
		}
		ok, err := s.HasProof(ctx, m.live.ID, policy.ActPasswordChange, "", m.now.Add(-ProofFor))
		if err == nil && !ok {
			err = errProof
		}
		if err == nil {
			all, err = s.CredentialsOf(ctx, string(m.person.ID))
		}
		return err
	})
	if err != nil {
		return Done{}, err
	}
	made, err := f.newPassword(m.person, all, password, m.now)
	if err != nil {
		return Done{}, err
	}
	return f.change(ctx, caller, policy.ActPasswordChange, "", "password.changed",
		func(ctx context.Context, s Store, m member, e *audit.Entry, done *Done) (map[string]string, error) {
			id, err := setPassword(ctx, s, made, all)
			if err != nil {
				return nil, err
			}
			e.Object, done.CredentialID = id, id
			if m.person.NewPassword { // this is the one that was asked for (signin.StepNewPassword)
				p := m.person
				p.NewPassword, p.Updated = false, m.now
				if err := s.UpdatePerson(ctx, p); err != nil {
					return nil, err
				}
			}
			return nil, f.endOthers(ctx, s, m, e, done)
		})
}

func (f *Flow) newPassword(p people.Person, all []method.Credential, password string, now time.Time) (method.Credential, error) {
	m, err := f.method(method.Password)
	if err != nil {
		return method.Credential{}, err
	}
	made, err := m.Enrol(method.EnrolInput{
		Subject: subject(p), Existing: ofKind(all, method.Password), Answer: method.Answer{Text: password}, Now: now,
	})
	made.ID, made.Person, made.Kind, made.Created = secret.NewID(now), string(p.ID), method.Password, now
	return made, err
}

// setPassword saves a password in the place of the one that was there when it was judged; fault Conflict where that
// changed meanwhile.
func setPassword(ctx context.Context, s Store, made method.Credential, seen []method.Credential) (string, error) {
	all, err := s.CredentialsOf(ctx, made.Person)
	if err != nil {
		return "", err
	}
	before, now := ofKind(seen, method.Password), ofKind(all, method.Password)
	if len(now) == 0 && len(before) == 0 {
		return made.ID, s.AddCredential(ctx, made)
	}
	if len(now) == 0 || len(before) == 0 || !bytes.Equal(now[0].State, before[0].State) {
		return "", fault.New(fault.Conflict, "password.changed_meanwhile", "The password was changed in another window meanwhile.")
	}
	c := now[0]
	c.State, c.Pending = made.State, false
	return c.ID, s.UpdateCredential(ctx, c)
}
