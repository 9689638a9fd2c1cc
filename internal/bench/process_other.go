//go:build !linux

package bench

import (
	"errors"
	"os/exec"
	"time"
)

var errNotHere = errors.New("the bench reads CPU clocks and memory as Linux gives them; run it on Linux")

// ProcessCPU works on Linux.
func ProcessCPU(int) (time.Duration, error) { return 0, errNotHere }

// Resident is what Memory gives.
type Resident struct{ All, Highest, Own int64 }

// Memory works on Linux.
func Memory(int) (Resident, error) { return Resident{}, errNotHere }

// Cores works on Linux.
func Cores() ([]int, error) { return nil, errNotHere }

// StartOn works on Linux.
func StartOn(int, *exec.Cmd) error { return errNotHere }

// KeepOff works on Linux.
func KeepOff(int) error { return errNotHere }

// OpenFiles works on Linux.
func OpenFiles() (int, error) { return 0, errNotHere }
