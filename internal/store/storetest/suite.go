package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/notice"
	"github.com/gatehouse-id/gatehouse/internal/secret"
	"github.com/gatehouse-id/gatehouse/internal/store"
)

// Run is the suite: every port's contract on databases that open gives, each empty and migrated.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, c := range []struct {
		name string
		body func(*testing.T, *store.DB)
	}{
		{"EveryFieldComesBack", everyField},
		{"AbsentIsNotFound", absent},
		{"People", peoplePort},
		{"OneNameForOne", namesRace},
		{"ErasedPerson", erasedPerson},
		{"CredentialStateIsSealed", credentialSealed},
		{"Credentials", credentials},
		{"Sessions", sessions},
		{"HalfDoneSignInsEndWithSessions", halfDone},
		{"RememberedBrowsers", rememberedBrowsers},
		{"Counters", counters},
		{"ReserveGuessIsExact", reserveGuessIsExact},
		{"ReserveGuessWithinOneTransaction", reserveWithin},
		{"Proofs", proofs},
		{"Invitations", invitations},
		{"Policy", policies},
		{"Applications", applications},
		{"Grants", grants},
		{"AccessTokens", accessTokens},
		{"SigningKeys", signingKeys},
		{"Outbox", outbox},
		{"SettingsAndTokens", settings},
		{"Sweep", sweep},
		{"ExactlyOneWins", exactlyOneWins},
		{"RollbackLeavesNothing", rollback},
		{"ViewReadsOnePictureAndWritesNothing", views},
		{"UnkeepableTextIsRefused", unkeepable},
		{"GroupSurvivesBadMembers", badMembers},
		{"CancelledCallerHarmsNobody", cancelled},
		{"CachesFollowVersions", caches},
		{"AuditChain", auditChain},
		{"AuditAfterConcurrency", auditConcurrent},
		{"NoEntryNoAct", NoEntryNoAct},
		{"Tampering", Tampering},
		{"AuditErasure", auditErasure},
		{"Challenges", challenges},
		{"OneAnswerCounts", challengeRace},
		{"Deliveries", deliveries},
		{"Blocks", blocks},
		{"Pairings", pairings},
		{"OnePairingUnderWay", pairingRace},
		{"EndpointsAndDevices", endpoints},
		{"ProofOfWhatWasChangedMeanwhile", changedMeanwhile},
		{"Incidents", incidents},
		{"OutboxByChannel", channels},
		{"NothingSealedLiesOpen", nothingPlain},
		{"PhoneSwept", phoneSwept},
		{"PhoneErased", phoneErased},
		{"ClosedRefuses", closed},
	} {
		t.Run(c.name, func(t *testing.T) { c.body(t, open(t)) })
	}
}

// mail is what the outbox is asked for where the channel does not matter.
var mail = []string{notice.Mail}

// start is the suite's present; the ports take time as an argument.
var start = time.Date(2026, 9, 1, 8, 0, 0, 123_000, time.UTC)

// Start is the suite's present, for tests beside it.
func Start() time.Time { return start }

func do(t testing.TB, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.InTx(context.Background(), fn); err != nil {
		t.Fatalf("transaction: %v", err)
	}
}

func look(t testing.TB, db *store.DB, fn func(*store.Tx) error) {
	t.Helper()
	if err := db.View(context.Background(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func wantKind(t testing.TB, what string, err error, kind fault.Kind) {
	t.Helper()
	if !fault.IsKind(err, kind) {
		t.Errorf("%s: %v, wanted a fault of kind %d", what, err, kind)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// race runs try n times at once and counts who won.
func race(t testing.TB, n int, try func(i int) (won bool, err error)) int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			ok, err := try(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("try %d: %v", i, err)
			}
			if ok {
				won++
			}
		})
	}
	close(gate)
	wg.Wait()
	return won
}

// filled gives a value in which every exported field holds something that differs from its zero value and from its
// neighbours, so that a field forgotten in a statement is found.
func filled[T any](seed int) T {
	var v T
	n := seed * 1000
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = start.Add(time.Duration(*n) * time.Second)
		return
	case *[]byte:
		*x = fmt.Appendf(nil, "bytes-%d", *n)
		return
	case *json.RawMessage:
		*x = fmt.Appendf(nil, "{\"n\": %d}", *n)
		return
	case *secret.String:
		*x = secret.NewString(fmt.Sprintf("secret-%d", *n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n%7 + 1))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(k, n)
			fill(e, n)
			v.SetMapIndex(k, e)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Interface: // a key's own test covers it
	default:
		panic("storetest: fill does not know " + v.Type().String())
	}
}
