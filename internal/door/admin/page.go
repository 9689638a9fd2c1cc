package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-id/gatehouse/internal/door/httpdoor"
	"github.com/gatehouse-id/gatehouse/internal/fault"
	"github.com/gatehouse-id/gatehouse/internal/manage"
)

// cursorFor is how long a page token is good for.
const cursorFor = 24 * time.Hour

var errCursor = fault.New(fault.BadInput, "admin.cursor", "That cursor is not one of ours, is too old, or belongs to another question. Start again without one.")

// Page is how a list is asked for.
type Page struct {
	Cursor string `query:"cursor" maxLength:"2000" doc:"The 'next' of the page before, for the same question."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most."`
}

// Resolve makes a malformed question a 400, whatever is wrong with it.
func (p *Page) Resolve(ctx huma.Context) []error {
	if raw := ctx.Query("limit"); raw != "" {
		if n, err := strconv.Atoi(raw); err != nil || n < 1 || n > 200 {
			return []error{huma.Error400BadRequest("limit is a whole number from 1 to 200")}
		}
	}
	if len(ctx.Query("cursor")) > 2000 {
		return []error{huma.Error400BadRequest("that cursor is too long")}
	}
	return nil
}

// next seals where a list goes on, for this caller and question only.
func (a *API) next(by manage.By, question string, where any) (string, error) {
	return a.Box.Pack("admin.cursor", by.Actor+"\x00"+question, where, a.Now().Add(cursorFor))
}

// resume opens what next made; an empty cursor leaves `where` as it is.
func (a *API) resume(by manage.By, question, cursor string, where any) error {
	if cursor == "" {
		return nil
	}
	if err := a.Box.Unpack("admin.cursor", by.Actor+"\x00"+question, cursor, a.Now(), where); err != nil {
		return errCursor.Because(err)
	}
	return nil
}

// describe encodes the document with a stable order and indentation.
func describe(o *huma.OpenAPI) ([]byte, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// description serves the document; it is made when first asked for, so that a start does not pay for it.
func (a *API) description() httpdoor.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := a.OpenAPI()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/openapi+json;version=3.1")
		_, err = w.Write(body)
		return err
	}
}
