// SPDX-License-Identifier: Apache-2.0

package demo

import "github.com/parley-ipc/parley/fault"

// State is how a check went.
type State string

// The states.
const (
	Passed State = "passed"
	Failed State = "failed"
	Absent State = "absent" // this mechanism, or this system, has no such thing
)

// Result is one check of one mechanism: a cell of a table.
type Result struct {
	Section   string         `json:"section"`
	Mechanism string         `json:"mechanism"`
	Check     string         `json:"check"`
	State     State          `json:"state"`
	Text      string         `json:"text,omitempty"`   // what the table shows
	Why       string         `json:"why,omitempty"`    // failed and absent
	Values    map[string]any `json:"values,omitempty"` // what was measured
}

// Report is everything that a run found.
type Report struct {
	Machine string   `json:"machine"`
	Results []Result `json:"results"`
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	Absent  int      `json:"absent"`
}

func (r *Report) add(res Result) {
	r.Results = append(r.Results, res)
	switch res.State {
	case Passed:
		r.Passed++
	case Failed:
		r.Failed++
	case Absent:
		r.Absent++
	}
}

// failedText stands in the cell of a check that failed; why is told below.
const failedText = "FAILED"

// finding is what a check returns when it passed.
type finding struct {
	text   string
	values map[string]any
}

// result files a check's outcome. An error that says Unsupported is no
// failure: there is no such thing here.
func result(section, mechanism, check string, f finding, err error) Result {
	res := Result{Section: section, Mechanism: mechanism, Check: check, State: Passed, Text: f.text, Values: f.values}
	switch {
	case err == nil:
	case fault.KindOf(err) == fault.Unsupported:
		res.State, res.Text, res.Why = Absent, "–", err.Error()
	default:
		res.State, res.Text, res.Why = Failed, failedText, err.Error()
	}
	return res
}
