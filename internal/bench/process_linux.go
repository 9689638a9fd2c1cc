package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ProcessCPU is the user and system time that a process has used, from its CPU clock (clock_getcpuclockid(3)): exact
// where /proc counts in hundredths of a second.
func ProcessCPU(pid int) (time.Duration, error) {
	const cpuClockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^uint32(pid)<<3|cpuClockSched), &ts); err != nil {
		return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// Resident is a process' resident memory in bytes.
type Resident struct {
	All, Highest int64
	// Own is what no file stands behind; the rest are pages of the program and of the database, which the kernel takes back
	// when it needs room.
	Own int64
}

// Memory reads how much memory a process holds.
func Memory(pid int) (m Resident, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	defer f.Close()
	into := map[string]*int64{"VmRSS": &m.All, "VmHWM": &m.Highest, "RssAnon": &m.Own}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		name, rest, _ := strings.Cut(sc.Text(), ":")
		if into[name] == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return m, err
		}
		*into[name] = kib << 10
	}
	return m, sc.Err()
}

// Cores are the processor numbers this process may use.
func Cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var cores []int
	for i := range 1024 {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores, nil
}

// StartOn starts cmd on one core. The affinity is inherited from the thread that forks, so that no thread of the new
// process ever runs elsewhere.
func StartOn(core int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &before); back != nil {
		return back // the thread stays locked and dies with this goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// KeepOff moves every thread of this process away from core, where there is another one.
func KeepOff(core int) error {
	cores, err := Cores()
	if err != nil {
		return err
	}
	var set unix.CPUSet
	for _, c := range cores {
		if c != core {
			set.Set(c)
		}
	}
	if set.Count() == 0 {
		return nil
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// OpenFiles is how many files and connections this process may have, raised as far as it may raise that itself; so is it
// for the processes that it starts.
func OpenFiles() (int, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	if l.Cur < l.Max {
		l.Cur = l.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			return 0, err
		}
	}
	return int(min(l.Cur, 1<<20)), nil
}
