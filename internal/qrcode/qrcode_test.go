package qrcode_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rsc.io/qr"

	"github.com/gatehouse-id/gatehouse/internal/qrcode"
)

var rectangle = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// Every dark module is drawn once, and no other, inside a quiet zone of four.
func TestPathDrawsTheModules(t *testing.T) {
	for _, text := range []string{"", "a", "https://phone.example.ac.uk/#pair=abcdefghijklmnopqrstuv", strings.Repeat("x", 1000)} {
		path, size, err := qrcode.Path(text)
		if err != nil {
			t.Fatal(err)
		}
		code, err := qr.Encode(text, qr.M)
		if err != nil {
			t.Fatal(err)
		}
		if size != code.Size+8 || rectangle.ReplaceAllString(path, "") != "" {
			t.Fatalf("size %d for %d modules", size, code.Size)
		}
		drawn := map[string]int{}
		for _, m := range rectangle.FindAllStringSubmatch(path, -1) {
			x, _ := strconv.Atoi(m[1])
			y, _ := strconv.Atoi(m[2])
			run, _ := strconv.Atoi(m[3])
			for i := range run {
				drawn[fmt.Sprint(x+i-4, y-4)]++
			}
		}
		for y := range code.Size {
			for x := range code.Size {
				want := 0
				if code.Black(x, y) {
					want = 1
				}
				if drawn[fmt.Sprint(x, y)] != want {
					t.Fatalf("module %d %d is drawn %d times", x, y, drawn[fmt.Sprint(x, y)])
				}
				delete(drawn, fmt.Sprint(x, y))
			}
		}
		if len(drawn) != 0 {
			t.Errorf("drawn outside: %v", drawn)
		}
	}
}

func TestPathRefusesWhatDoesNotFit(t *testing.T) {
	if _, _, err := qrcode.Path(strings.Repeat("x", 5000)); err == nil {
		t.Error("5,000 characters fit no code")
	}
}
