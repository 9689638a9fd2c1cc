package web

import (
	"html/template"
	"net/http"
)

// framedPage is a page of another door's inside our layout.
type framedPage struct {
	Shell
	Body template.HTML
}

func (*framedPage) name() string { return "framed" }

// Frame answers with a page in this house's layout whose content somebody else rendered; body is trusted.
func (p *Pages) Frame(w http.ResponseWriter, status int, title string, body template.HTML) error {
	pg := &framedPage{Body: body}
	pg.Lang, pg.Title, pg.Wide = "en", title, true
	return p.render(w, status, pg)
}
