package web

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAccentIsReadable: whatever colour a campus sets, it is readable in both themes or refused with the way on.
func TestAccentIsReadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Colour{rapid.Uint8().Draw(t, "r"), rapid.Uint8().Draw(t, "g"), rapid.Uint8().Draw(t, "b")}
		a, err := MakeAccent(c)
		if err != nil {
			_, near, _ := strings.Cut(err.Error(), "write ")
			near, _, _ = strings.Cut(near, " ")
			nearest, perr := ParseColour(near)
			if perr != nil {
				t.Fatalf("%v names no colour that would do", err)
			}
			if b, err := MakeAccent(nearest); err != nil || b.Adjusted {
				t.Fatalf("the colour that %v names will not do: %v", c, err)
			}
			return
		}
		for name, ratio := range map[string]float64{
			"light on page": Contrast(a.Light, lightGround), "light on surface": Contrast(a.Light, white), "on light": Contrast(a.OnLight, a.Light),
			"light on its tint": Contrast(a.Light, lightGround.toward(a.Light, 0.09)),
			"dark on surface":   Contrast(a.Dark, darkGround), "on dark": Contrast(a.OnDark, a.Dark), "dark on page": Contrast(a.Dark, darkText),
			"dark on its tint": Contrast(a.Dark, darkGround.toward(a.Dark, 0.13)),
		} {
			if ratio < contrastText {
				t.Fatalf("%v: %s %.2f", c, name, ratio)
			}
		}
		if !a.Adjusted && a.Light != c {
			t.Fatalf("%v became %v and nobody was told", c, a.Light)
		}
	})
}

func TestAccentKeepsWhatIsFine(t *testing.T) {
	a, err := MakeAccent(Colour{0x1d, 0x4f, 0x91})
	if err != nil || a.Adjusted || a.Light.String() != "#1d4f91" {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := MakeAccent(Colour{0xe8, 0x5d, 0x04}); err != nil || !a.Adjusted {
		t.Errorf("orange: %+v %v", a, err)
	}
	if _, err := MakeAccent(Colour{0xff, 0xff, 0x00}); err == nil || !strings.Contains(err.Error(), "too light") {
		t.Errorf("yellow: %v", err)
	}
	for _, s := range []string{"", "red", "#12345", "#1234567", "1d4f91", "#gggggg", "#+1d4f9"} {
		if _, err := ParseColour(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if _, err := NewPages(Campus{Accent: "red; } body { display: none"}, nil); err == nil {
		t.Error("a colour that is none was taken")
	}
}
