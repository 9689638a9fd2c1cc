// Package qrcode draws QR codes for pages.
//
//	text ─► Path ─► an SVG path's d attribute and the side of its viewBox, one unit a module
package qrcode

import (
	"fmt"
	"strconv"
	"strings"

	"rsc.io/qr"
)

// Path draws text (at most about 2 KB) as one path: a rectangle for each horizontal run of dark modules, in a viewBox
// "0 0 size size" with a quiet zone of four; dark on light.
func Path(text string) (path string, size int, err error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0, fmt.Errorf("qrcode: %w", err)
	}
	const quiet = 4
	var b strings.Builder
	for y := range c.Size {
		for x := 0; x < c.Size; x++ {
			run := 0
			for x+run < c.Size && c.Black(x+run, y) {
				run++
			}
			if run == 0 {
				continue
			}
			b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h" + strconv.Itoa(run) + "v1h-" + strconv.Itoa(run) + "z")
			x += run
		}
	}
	return b.String(), c.Size + 2*quiet, nil
}
