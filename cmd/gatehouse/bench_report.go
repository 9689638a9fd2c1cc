package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/bench"
)

// benchReport is what `gatehouse bench --json` prints. Times are nanoseconds.
type benchReport struct {
	Cores int            `json:"cores"`
	Null  []bench.Result `json:"null"`
	House []bench.Result `json:"gatehouse"`
	// Large is the passkey sign-in at 8 workers among People[1] people instead of People[0].
	Large  bench.Result `json:"among_many"`
	People [2]int       `json:"people"`
	// Start is the shortest of five starts on existing data, to the first answer.
	Start         time.Duration `json:"start_ns"`
	IdleBytes     int64         `json:"idle_bytes"`
	IdleOwnBytes  int64         `json:"idle_own_bytes"` // without pages of files
	PasswordBytes int64         `json:"password_bytes"`
	// Moved is how soon a browser goes on after its phone's answer, on one node, and TwoNodes with the phone at another one.
	Moved    []bench.Result `json:"moved_on"`
	TwoNodes []bench.Result `json:"moved_on_two_nodes"`
	Waiting  benchWaiting   `json:"waiting"`
	Load     bench.Load     `json:"first_load"`
	Goals    []benchGoal    `json:"goals"`
}

// benchGoal is a promise and what was measured.
type benchGoal struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	AtMost   float64 `json:"at_most"`
	Measured float64 `json:"measured"`
	Met      bool    `json:"met"`
}

func (r *benchReport) goal(name, unit string, atMost, measured float64) {
	r.Goals = append(r.Goals, benchGoal{name, unit, atMost, measured, measured <= atMost})
}

func find(results []bench.Result, name string, workers int) bench.Result {
	for _, r := range results {
		if r.Operation == name && r.Workers == workers {
			return r
		}
	}
	return bench.Result{}
}

func ratio(a, b time.Duration) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// judge compares with the goals.
func (r *benchReport) judge() {
	r.Goals = nil
	times := func(name, unit string, atMost float64) {
		if find(r.House, name, 8).Count == 0 {
			return // left out by --only
		}
		r.goal(name+", 8 workers", unit, atMost, ratio(find(r.House, name, 8).CPU, find(r.Null, name, 8).CPU))
	}
	times(bench.PasskeySignIn, "× null server", 2)
	times(bench.CodeAndTokens, "× null server", 2)
	times(bench.Refresh, "× null server", 2)
	times(bench.PasswordSignIn, "× its hash", 1.05)
	times(bench.PasscodeSignIn, "× null server", 2.5)
	times(bench.AppSignIn, "× null server", 2.5)
	spent := func(name string, atMost float64) {
		if find(r.House, name, 8).Count == 0 {
			return
		}
		r.goal(name+", 8 workers", "ms CPU", atMost, milliseconds(find(r.House, name, 8).CPU))
	}
	spent(bench.Introspection, 0.10)
	spent(bench.UserInfo, 0.10)
	spent(bench.Discovery, 0.03)
	for _, h := range r.House {
		// The one is its hash; in the other much of the time is the phone's, which the driver plays.
		if h.Operation != bench.PasswordSignIn && h.Operation != bench.AppSignIn {
			r.goal(fmt.Sprintf("%s, %d workers, p99", h.Operation, h.Workers), "× workers × CPU", 1.5,
				ratio(h.P99, time.Duration(h.Workers)*h.CPU))
		}
	}
	r.judgePhones()
	if r.Large.Count == 0 {
		return
	}
	r.goal(fmt.Sprintf("passkey sign-in, %d people instead of %d", r.People[1], r.People[0]), "× CPU", 1.10,
		ratio(r.Large.CPU, find(r.House, bench.PasskeySignIn, 8).CPU))
	r.goal("memory at rest", "MiB", 40, float64(r.IdleBytes)/(1<<20))
	r.goal("memory, 32 concurrent password sign-ins", "MiB", 300, float64(r.PasswordBytes)/(1<<20))
	r.goal("start to first answer", "ms", 50, milliseconds(r.Start))
}

// judgePhones compares what only phones have.
func (r *benchReport) judgePhones() {
	for _, m := range r.Moved {
		r.goal(fmt.Sprintf("%s, %d workers, p99", bench.MovedOn, m.Workers), "ms", 50, milliseconds(m.P99))
	}
	for _, m := range r.TwoNodes {
		r.goal(fmt.Sprintf("%s, two nodes, %d workers, p99", bench.MovedOn, m.Workers), "ms", 100, milliseconds(m.P99))
	}
	if w := r.Waiting; w.Browsers > 0 {
		r.goal(fmt.Sprintf("memory, each of %d waiting browsers", w.Browsers), "KiB", 20, float64(w.Each)/(1<<10))
		r.goal("waiting browsers left behind", "", 0, float64(w.Browsers-w.Moved))
	}
	if r.Load.Files > 0 {
		r.goal(fmt.Sprintf("first load of the app, %d files", r.Load.Files), "kB", 100, float64(r.Load.Sent)/1000)
	}
}

// table prints the report as Markdown tables.
func (r *benchReport) table(w io.Writer) error {
	if err := r.tableOperations(w); err != nil {
		return err
	}
	if err := r.tablePhones(w); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| goal\t| at most\t| measured\t| unit\t| met\t|")
	fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|")
	for _, g := range r.Goals {
		met := "yes"
		if !g.Met {
			met = "**no**"
		}
		fmt.Fprintf(t, "| %s\t| %g\t| %.2f\t| %s\t| %s\t|\n", g.Name, g.AtMost, g.Measured, g.Unit, met)
	}
	return t.Flush()
}

// tableOperations prints what was measured in loops, with the floors.
func (r *benchReport) tableOperations(w io.Writer) error {
	if len(r.House) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| operation\t| workers\t| CPU ms\t| per second\t| p50 ms\t| p99 ms\t| × null\t|")
	fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, h := range r.House {
		times := ""
		if h.Workers == 8 {
			if n := find(r.Null, h.Operation, 8); n.CPU > 0 {
				times = fmt.Sprintf("%.2f", ratio(h.CPU, n.CPU))
			}
		}
		printResult(t, h.Operation, h, times)
	}
	if r.Large.Count > 0 {
		printResult(t, fmt.Sprintf("passkey sign-in, %d people", r.People[1]), r.Large, "")
	}
	for _, n := range r.Null {
		printResult(t, "null server: "+n.Operation, n, "1")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func printResult(w io.Writer, name string, r bench.Result, times string) {
	fmt.Fprintf(w, "| %s\t| %d\t| %.3f\t| %.0f\t| %.2f\t| %.2f\t| %s\t|\n", name, r.Workers, milliseconds(r.CPU), r.Rate,
		milliseconds(r.P50), milliseconds(r.P99), times)
}

// tablePhones prints what is no operation: times and sizes of waiting for a phone.
func (r *benchReport) tablePhones(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	if len(r.Moved) == 0 && r.Waiting.Browsers == 0 {
		return nil
	}
	fmt.Fprintln(t, "| phones\t| p50 ms\t| p99 ms\t| measured\t|\n|---\t|---\t|---\t|---\t|")
	moved := func(name string, all []bench.Result) {
		for _, m := range all {
			fmt.Fprintf(t, "| %s%s, %d workers\t| %.2f\t| %.2f\t| %d times\t|\n", bench.MovedOn, name, m.Workers, milliseconds(m.P50), milliseconds(m.P99), m.Count)
		}
	}
	moved("", r.Moved)
	moved(", two nodes on PostgreSQL", r.TwoNodes)
	if v := r.Waiting; v.Browsers > 0 {
		fmt.Fprintf(t, "| %d browsers wait: memory\t|\t|\t| %.1f KiB each (%.1f with mapped pages of the database)\t|\n", v.Browsers,
			float64(v.Each)/(1<<10), float64(v.Resident)/(1<<10))
		fmt.Fprintf(t, "| %d browsers wait: CPU at rest\t|\t|\t| %.1f ms a second\t|\n", v.Browsers, milliseconds(v.Rest))
		fmt.Fprintf(t, "| %d browsers wait: answered by all phones\t| %.2f\t| %.2f\t| %d moved on\t|\n", v.Browsers, milliseconds(v.P50), milliseconds(v.P99), v.Moved)
	}
	if r.Load.Files > 0 {
		fmt.Fprintf(t, "| first load of the app\t|\t|\t| %.1f kB sent, %.1f kB unpacked\t|\n", float64(r.Load.Sent)/1000, float64(r.Load.Plain)/1000)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
