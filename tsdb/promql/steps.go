package promql

import (
	"time"

	prompql "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"signalbox/internal/fault"
)

// checkSteps refuses a query with too many steps. The evaluator allocates 16
// bytes for every step of a subquery before it counts the first sample, so
// max_over_time(x[100y:1ms]) would end the process.
func (e *Engine) checkSteps(q prompql.Query) error {
	stmt, ok := q.Statement().(*parser.EvalStmt)
	if !ok {
		return nil
	}
	if n := e.steps(stmt); n > float64(e.cfg.MaxSteps) {
		return overBudget(reasonMaxSteps, "the query has %.3g steps, those of its subqueries included, query.max_steps is %d", n, e.cfg.MaxSteps)
	}
	return nil
}

// steps counts the steps of a query and of all its subqueries. It counts in
// floats, because the numbers may be far beyond an int64.
func (e *Engine) steps(stmt *parser.EvalStmt) float64 {
	span := stmt.End.Sub(stmt.Start).Seconds()
	total := 1.0
	if stmt.Interval > 0 {
		total += span / stmt.Interval.Seconds()
	}
	return total + e.subquerySteps(stmt.Expr, span)
}

// subquerySteps counts for an expression that is evaluated over span seconds.
func (e *Engine) subquerySteps(node parser.Node, span float64) float64 {
	total := 0.0
	if sub, ok := node.(*parser.SubqueryExpr); ok {
		step := sub.Step
		if step <= 0 {
			step = e.cfg.SubqueryInterval
		}
		span += sub.Range.Seconds()
		total += span/max(step, time.Millisecond).Seconds() + 1
	}
	for child := range parser.ChildrenIter(node) {
		total += e.subquerySteps(child, span)
	}
	return total
}

// The evaluator counts Unix nanoseconds in an int64, which wraps beyond these.
var (
	minTime = time.Unix(-9_200_000_000, 0) // in 1678
	maxTime = time.Unix(9_200_000_000, 0)  // in 2261
)

// clamp brings a time into what the evaluator can count. Clients do ask for
// the year 57000, by mistaking milliseconds for seconds.
func clamp(t time.Time) time.Time {
	switch {
	case t.Before(minTime):
		return minTime
	case t.After(maxTime):
		return maxTime
	}
	return t
}

// checkRange refuses ranges that have no sequence of steps.
func checkRange(start, end time.Time, step time.Duration) error {
	switch {
	case step < time.Millisecond:
		return fault.Refuse(reasonBadRange, "the step of a range query must be at least 1ms, is %s", step)
	case end.Before(start):
		return fault.Refuse(reasonBadRange, "the end of a range query is before its start")
	}
	return nil
}
