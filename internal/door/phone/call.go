package phone

import (
	"io"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/device"
	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/enrol"
	"github.com/gatehouse-id/gatehouse/internal/fault"
)

var (
	errForm = fault.New(fault.BadInput, "request.form", "Parts of the form could not be read.")
	errType = fault.New(fault.BadInput, "request.content_type", "This address takes JSON and nothing else.")
)

// call is one request on its way through.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	caller device.Caller
	body   []byte
	phone  device.Phone // once it has entered
}

// open takes a request apart before anybody judges it.
func (p *Phone) open(h func(*call) error) httpdoor.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		c := &call{w: w, r: r, caller: device.Caller{Address: httpdoor.Address(w), Agent: httpdoor.CleanAgent(r.Header.Get("User-Agent")),
			Locale: p.Door.Language(r)}}
		var err error
		if c.body, err = io.ReadAll(r.Body); err != nil {
			return err
		}
		err = h(c)
		if fault.IsKind(err, fault.Unauthenticated) {
			w.Header()["Www-Authenticate"] = scheme // RFC 9110 section 15.5.2
		}
		return err
	}
}

var scheme = []string{"Device"}

// entered lets in who signed.
func (p *Phone) entered(h func(*call) error) func(*call) error {
	return func(c *call) (err error) {
		if c.phone, err = p.Flow.Enter(c.r.Context(), c.signed(c.body)); err != nil {
			return err
		}
		return h(c)
	}
}

// enteredMove is entered for the one call whose body is made over its signature, which therefore leaves the body out.
func (p *Phone) enteredMove(h func(*call) error) func(*call) error {
	return func(c *call) (err error) {
		if c.phone, err = p.Flow.Enter(c.r.Context(), c.signed(nil)); err != nil {
			return err
		}
		return h(c)
	}
}

// enteredPairing lets in the phone that claimed or began the pairing.
func (p *Phone) enteredPairing(h func(*call) error) func(*call) error {
	return func(c *call) (err error) {
		c.phone, err = p.Flow.EnterPairing(c.r.Context(), c.signed(c.body), c.r.PathValue("id"))
		if f := fault.Of(err); f != nil && f.Code == "device.unknown" {
			return enrol.ErrPairingEnded // a pairing of somebody else is like one that never was
		}
		if err != nil {
			return err
		}
		return h(c)
	}
}

func (c *call) signed(body []byte) device.Signed {
	return device.Signed{Caller: c.caller, Token: token(c.r.Header.Values("Authorization")), Method: c.r.Method, Path: c.r.URL.RequestURI(), Body: body}
}

// token reads "Authorization: Device <JWS>"; "" for anything else, which the flow refuses like any token that is wrong.
func token(headers []string) string {
	if len(headers) != 1 {
		return ""
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	if !ok || !strings.EqualFold(scheme, "Device") {
		return ""
	}
	return strings.TrimLeft(token, " ")
}

// fields reads the body as an object of exactly these members; see readObject.
func (c *call) fields(into map[string]any) error {
	if t := c.r.Header.Get("Content-Type"); t != "application/json" && !strings.HasPrefix(t, "application/json;") {
		return errType
	}
	if !c.plainQuery() || !readObject(c.body, into) {
		return errForm
	}
	return nil
}

// bare demands a call without body and query.
func (c *call) bare() error {
	if len(c.body) > 0 || !c.plainQuery() {
		return errForm
	}
	return nil
}

func (c *call) plainQuery() bool { return c.r.URL.RawQuery == "" && !c.r.URL.ForceQuery }

func (c *call) json(value any) error {
	httpdoor.WriteJSON(c.w, http.StatusOK, value)
	return nil
}

func (c *call) done() error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// Problem is httpdoor.Config.Problem of the app's door: what an error says by the protocol. language reads a request's.
func Problem(t Texts, language func(*http.Request) string) func(*http.Request, *fault.Error, string) any {
	return func(r *http.Request, f *fault.Error, requestID string) any {
		out := problem{Error: f.Code, Message: t.Fault(language(r), f), Request: requestID}
		if f.RetryAfter > 0 {
			out.RetryAfter = int64((f.RetryAfter + 999_999_999) / 1_000_000_000)
		}
		out.Now, out.Left = f.Params["now"], f.Params["left"]
		return out
	}
}

type problem struct {
	Error      string `json:"error"`
	Message    string `json:"message"`
	Request    string `json:"request_id,omitempty"`
	RetryAfter int64  `json:"retry_after,omitempty"`
	Now        any    `json:"now,omitempty"`
	Left       any    `json:"left,omitempty"`
}
