package yamlfile

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Duration is written as a whole number and a unit: 45s, 5m, 8h, 30d.
type Duration time.Duration

var errDuration = errors.New("write a time as a whole number and a unit: 45s, 5m, 8h or 30d")

var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// FromText reads one.
func (d *Duration) FromText(text string) error {
	if len(text) < 2 {
		return errDuration
	}
	unit, ok := units[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !ok || err != nil || int64(n) > math.MaxInt64/int64(unit) {
		return errDuration
	}
	*d = Duration(time.Duration(n) * unit)
	return nil
}

// Std gives it as time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// FormatDuration writes a time as it is written in a file, in the largest unit that fits.
func FormatDuration(d time.Duration) string {
	for _, u := range []byte("dhms") {
		if d%units[u] == 0 && (d >= units[u] || u == 's') {
			return fmt.Sprintf("%d%c", d/units[u], u)
		}
	}
	return d.String()
}
