package web

import (
	"html/template"

	"github.com/gatehouse-id/gatehouse/internal/method"
)

// icons are ours: 24 × 24, one stroke width (set in the stylesheet), drawn with currentColor.
var icons = map[string]string{
	"arch":     `<path d="M5 20V11a7 7 0 0 1 14 0v9M3 20h18M9.5 20v-7a2.5 2.5 0 0 1 5 0v7"/>`,
	"password": `<rect x="2.5" y="8" width="19" height="8.5" rx="2.5"/><path d="M7 12.2h.01M12 12.2h.01M17 12.2h.01" stroke-width="2.6"/>`,
	"passkey": `<path d="M4.5 13.5V12a7.5 7.5 0 0 1 12.8-5.3M19.2 9.9c.2.7.3 1.4.3 2.1v2.5"/><path d="M7.8 18.5c-.2-1.1-.3-2.3-.3-3.5v-3a4.5 4.5 0 0 1 9 0v2.5c0 1.3-.1 2.6-.4 3.8"/>` +
		`<path d="M10.7 20.5c-.5-1.7-.7-3.5-.7-5.3V12a2 2 0 0 1 4 0v3c0 1.9-.2 3.8-.7 5.6"/>`,
	"totp": `<rect x="6" y="2.5" width="12" height="19" rx="2.5"/><path d="M9.2 11.2h.01M12 11.2h.01M14.8 11.2h.01M9.2 14.4h.01M12 14.4h.01M14.8 14.4h.01" stroke-width="2.2"/><path d="M10.8 18.4h2.4M9.5 6.6h5"/>`,
	"app":  `<rect x="6" y="2.5" width="12" height="19" rx="2.5"/><path d="M10.8 18.4h2.4M11.6 7.2 9.2 10.9h2.7M11.1 9.2v3.4M13.2 7.4h2.1l-1.5 5.1"/>`,
	"phone": `<path d="M5.5 4h13A2.5 2.5 0 0 1 21 6.5v7a2.5 2.5 0 0 1-2.5 2.5H12l-4.8 4v-4H5.5A2.5 2.5 0 0 1 3 13.5v-7A2.5 2.5 0 0 1 5.5 4Z"/>` +
		`<path d="M8 10h.01M12 10h.01M16 10h.01" stroke-width="2.4"/>`,
	"recovery": `<rect x="4.5" y="2.8" width="15" height="18.4" rx="2.5"/><path d="M8 8h3M13 8h3M8 12h3M13 12h3M8 16h3M13 16h3" stroke-width="2.1"/>`,
	"mobile":   `<rect x="6" y="2.5" width="12" height="19" rx="2.5"/><path d="M10.8 18.4h2.4"/>`,
	"scan": `<path d="M4 8.5V6a2 2 0 0 1 2-2h2.5M15.5 4H18a2 2 0 0 1 2 2v2.5M20 15.5V18a2 2 0 0 1-2 2h-2.5M8.5 20H6a2 2 0 0 1-2-2v-2.5"/>` +
		`<path d="M8 8h3v3H8zM13.5 8H16v3M8 13.5h2.5V16M13.5 13.5H16V16h-2.5z"/>`,
	"copy":      `<rect x="8.5" y="8.5" width="12" height="12" rx="2.5"/><path d="M15.5 8.5V6A2.5 2.5 0 0 0 13 3.5H6A2.5 2.5 0 0 0 3.5 6v7A2.5 2.5 0 0 0 6 15.5h2.5"/>`,
	"print":     `<path d="M7 8V3.5h10V8M7 17H5.5A2.5 2.5 0 0 1 3 14.5V10.5A2.5 2.5 0 0 1 5.5 8h13a2.5 2.5 0 0 1 2.5 2.5v4a2.5 2.5 0 0 1-2.5 2.5H17"/><path d="M7 14h10v6.5H7z"/>`,
	"call":      `<path d="M6.2 3.5 9 4l1.2 4-2 1.6a13 13 0 0 0 6.2 6.2l1.6-2 4 1.2.5 2.8c0 1.5-1.2 2.7-2.7 2.7A14.3 14.3 0 0 1 3.5 6.2c0-1.5 1.2-2.7 2.7-2.7Z"/>`,
	"key":       `<circle cx="8" cy="14.5" r="4.5"/><path d="m11.3 11.3 7.2-7.2M15.5 7.1l3 3M18.5 4.1l1.5 1.5"/>`,
	"computer":  `<rect x="4" y="4.5" width="16" height="11" rx="2"/><path d="M2.5 19.5h19"/>`,
	"check":     `<path d="m5 12.5 4.7 4.7L19.5 7.2"/>`,
	"done":      `<circle cx="12" cy="12" r="9.2"/><path d="m7.8 12.4 2.9 2.9 5.6-6"/>`,
	"alert":     `<circle cx="12" cy="12" r="9.2"/><path d="M12 7.5v5.2M12 16.4h.01"/>`,
	"stop":      `<circle cx="12" cy="12" r="9.2"/><path d="M8 12h8"/>`,
	"help":      `<circle cx="12" cy="12" r="9.2"/><path d="M9.6 9.4a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.2.9-1.2 1.7M12 16.6h.01"/>`,
	"out":       `<path d="M10 4H6.5A2.5 2.5 0 0 0 4 6.5v11A2.5 2.5 0 0 0 6.5 20H10M15.5 8l4 4-4 4M19 12H9.5"/>`,
	"next":      `<path d="m9 5.5 6.5 6.5L9 18.5"/>`,
	"plus":      `<path d="M12 5v14M5 12h14"/>`,
	"search":    `<circle cx="10.5" cy="10.5" r="6.5"/><path d="m15.5 15.5 5 5"/>`,
	"clock":     `<circle cx="12" cy="12" r="9.2"/><path d="M12 7v5.2l3.4 2"/>`,
	"shield":    `<path d="M12 2.8 4.8 5.6v5.6c0 4.6 3 8.3 7.2 10 4.2-1.7 7.2-5.4 7.2-10V5.6L12 2.8Z"/><path d="m8.8 11.8 2.3 2.3 4.2-4.4"/>`,
	"person":    `<circle cx="12" cy="8" r="4.2"/><path d="M4 20.5c.8-3.8 4-6 8-6s7.2 2.2 8 6"/>`,
	"mail":      `<rect x="3" y="5" width="18" height="14" rx="2.5"/><path d="m3.5 7.5 8.5 6 8.5-6"/>`,
	"remember":  `<rect x="3" y="4.5" width="18" height="15" rx="2.5"/><path d="M3 8.8h18M9 14.3l2.1 2.1 4-4.2"/>`,
	"refresh":   `<path d="M19.5 12a7.5 7.5 0 1 1-2.3-5.4M19.8 3.5v4h-4"/>`,
	"bluetooth": `<path d="m7 8 10 8-5 4.5v-17L17 8 7 16"/>`,
}

// icon draws one. The picture says nothing to a screen reader: the words stand beside it.
func icon(name string) template.HTML { return sized(name, "icon") }

// smallIcon is icon at the size of running text.
func smallIcon(name string) template.HTML { return sized(name, "icon icon-s") }

func sized(name, class string) template.HTML {
	shape, ok := icons[name]
	if !ok {
		shape = icons["key"] // a method that has no picture yet
	}
	return template.HTML(`<svg class="` + class + `" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + shape + `</svg>`) // shapes are constants above
}

// kindIcon is the picture of a method.
func kindIcon(k method.Kind) template.HTML { return icon(string(k)) }
