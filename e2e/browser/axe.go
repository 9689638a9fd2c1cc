package browser

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/chromedp/chromedp"
)

// Finding is one rule of axe-core that a page breaks.
type Finding struct {
	ID     string `json:"id"`
	Impact string `json:"impact"` // minor, moderate, serious, critical
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// Serious reports whether people are kept out by it.
func (f Finding) Serious() bool { return f.Impact == "serious" || f.Impact == "critical" }

// String names the rule and the first place.
func (f Finding) String() string {
	if len(f.Nodes) == 0 {
		return f.ID
	}
	return fmt.Sprintf("%s (%s): %s: %s: %s", f.ID, f.Impact, f.Help, f.Nodes[0].HTML, f.Nodes[0].Summary)
}

// Axe runs axe-core (the file at path, as npm installs it) over the page with all the rules it has for WCAG 2.2 AA.
func (t *Tab) Axe(path string) ([]Finding, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("axe-core is not installed (`make needs` does it): %w", err)
	}
	if err := chromedp.Do(t.ctx, chromedp.Evaluate[chromedp.Void](string(source))); err != nil {
		return nil, err
	}
	text, err := Eval[string](t, `axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => JSON.stringify(r.violations))`)
	if err != nil {
		return nil, err
	}
	var found []Finding
	return found, json.Unmarshal([]byte(text), &found)
}
