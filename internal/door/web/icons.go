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
	"totp":      `<rect x="6" y="2.5" width="12" height="19" rx="2.5"/><path d="M9.2 11.2h.01M12 11.2h.01M14.8 11.2h.01M9.2 14.4h.01M12 14.4h.01M14.8 14.4h.01" stroke-width="2.2"/><path d="M10.8 18.4h2.4M9.5 6.6h5"/>`,
	"phone":     `<rect x="6" y="2.5" width="12" height="19" rx="2.5"/><path d="M10.8 18.4h2.4"/>`,
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
