package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Campus is what an institution sets of its own.
type Campus struct {
	// Name stands at the top of every page.
	Name string
	// Accent is the colour of buttons and links, "#rrggbb"; "" for ours.
	Accent string
	// Logo is an SVG or PNG file's content and LogoType ".svg" or ".png"; nil for none.
	Logo     []byte
	LogoType string
	// HomeURL is where somebody goes who leaves the sign-in page; may be "".
	HomeURL string
	// Domain is the host name of these pages, for text messages whose code phones fill in here and nowhere else
	// (origin-bound one-time codes); "" leaves that line out.
	Domain string
	// Banner stands above every page and leads to BannerURL: the demonstration says there what it is. "" for none.
	Banner, BannerURL string
	// HelpName is who helps ("IT service desk"); the others may be "".
	HelpName, HelpURL, HelpPhone, HelpMail string
}

// Colour is an sRGB colour.
type Colour struct{ R, G, B uint8 }

// ParseColour reads "#rrggbb".
func ParseColour(s string) (Colour, error) {
	hex, ok := strings.CutPrefix(s, "#")
	n, err := strconv.ParseUint(hex, 16, 32)
	if !ok || len(hex) != 6 || err != nil {
		return Colour{}, fmt.Errorf("accent %q: write a colour as # and six hexadecimal digits, like #1d4f91", s)
	}
	return Colour{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil
}

func (c Colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// Luminance is relative luminance, 0 to 1 (WCAG 2.2, "relative luminance").
func (c Colour) Luminance() float64 {
	lin := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(c.R) + 0.7152*lin(c.G) + 0.0722*lin(c.B)
}

// Contrast is the ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio").
func Contrast(a, b Colour) float64 {
	x, y := a.Luminance(), b.Luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// toward mixes share (0 to 1) of other into c.
func (c Colour) toward(other Colour, share float64) Colour {
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-share) + float64(b)*share)) }
	return Colour{mix(c.R, other.R), mix(c.G, other.G), mix(c.B, other.B)}
}

// The grounds that an accent must be read on; they are the stylesheet's --surface, --bg and --tint at their worst.
var (
	white       = Colour{255, 255, 255}
	black       = Colour{0, 0, 0}
	lightGround = Colour{0xf3, 0xf4, 0xf6}
	darkGround  = Colour{0x17, 0x1b, 0x21}
	darkText    = Colour{0x0e, 0x11, 0x15}
)

const (
	contrastText = 4.5 // WCAG 2.2 criterion 1.4.3, level AA
	contrastDark = 6.2 // more than 4.5: thin light strokes on a dark ground look fainter than they measure
	// maxShift is how far an accent may be moved and still be the campus's colour.
	maxShift = 0.5
)

// Accent is one campus colour made fit for both themes.
type Accent struct {
	Light, OnLight, Dark, OnDark Colour
	// Adjusted is set where the light theme's colour is not the one that was asked for.
	Adjusted bool
}

// MakeAccent darkens the colour for the light theme, and lightens it for the dark one, until text in it and text on
// it both reach 4.5 to 1. A colour that would have to become another one is refused with the nearest that would do.
func MakeAccent(c Colour) (Accent, error) {
	a := Accent{OnLight: white, OnDark: darkText}
	fitsLight := func(x Colour) bool {
		ground := lightGround.toward(x, 0.09) // the tint behind chosen things
		return Contrast(x, ground) >= contrastText && Contrast(x, white) >= contrastText
	}
	share := 0.0
	for a.Light = c; !fitsLight(a.Light); a.Light = c.toward(black, share) {
		share += 0.01
	}
	if share > maxShift {
		return Accent{}, fmt.Errorf("accent %s: too light to be read on white; write %s or a darker colour", c, a.Light)
	}
	a.Adjusted = share > 0
	fitsDark := func(x Colour) bool {
		return Contrast(x, darkGround.toward(x, 0.13)) >= contrastDark && Contrast(x, darkText) >= contrastDark
	}
	for a.Dark, share = c, 0; !fitsDark(a.Dark); a.Dark = c.lighter(share) {
		share += 0.01
	}
	return a, nil
}

// lighter moves the lightness of the HSL model (CSS Color 4, section 7) up by share of the way to white. Hue and
// saturation stay, so that a deep blue becomes a light blue and no grey.
func (c Colour) lighter(share float64) Colour {
	r, g, b := float64(c.R)/255, float64(c.G)/255, float64(c.B)/255
	hi, lo := max(r, g, b), min(r, g, b)
	light := (hi + lo) / 2
	chroma := hi - lo
	hue, sat := 0.0, 0.0
	if chroma > 0 {
		sat = chroma / (1 - math.Abs(2*light-1))
		switch hi {
		case r:
			hue = math.Mod((g-b)/chroma+6, 6)
		case g:
			hue = (b-r)/chroma + 2
		default:
			hue = (r-g)/chroma + 4
		}
	}
	light += (1 - light) * min(1, share)
	part := func(n float64) uint8 {
		k := math.Mod(n+hue*2, 12)
		a := sat * min(light, 1-light)
		v := light - a*max(-1, min(k-3, 9-k, 1))
		return uint8(math.Round(255 * max(0, min(1, v))))
	}
	return Colour{part(0), part(8), part(4)}
}

// stylesheet is the campus's own file: four tokens.
func (a Accent) stylesheet() []byte {
	return fmt.Appendf(nil, ":root{--accent-light:%s;--on-accent-light:%s;--accent-dark:%s;--on-accent-dark:%s}\n",
		a.Light, a.OnLight, a.Dark, a.OnDark)
}
