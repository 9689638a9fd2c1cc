package web

// What the phone's door says in words comes out of the same catalogue.

// Place names a country by its ISO 3166-1 code, with its uncertainty; "" is a place that is not known.
func (t *Texts) Place(lang, country string) string {
	if country == "" {
		return t.Text(lang, "phone.nowhere", nil)
	}
	return t.Text(lang, "phone.place", map[string]any{"Country": t.Country(lang, country)})
}

// AppName is what the installed authenticator app of an institution is called.
func (t *Texts) AppName(lang, institution string) string {
	return t.Text(lang, "phone.app", map[string]any{"Institution": institution})
}
