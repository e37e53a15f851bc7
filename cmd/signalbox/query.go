package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"signalbox/internal/config"
)

const defaultURL = "http://127.0.0.1:4319"

func newQuery() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Ask a running server",
		Example: `  signalbox query promql up
  signalbox query promql 'sum by (job) (rate(http_requests_total[5m]))' --since 1h`,
	}
	group(cmd)
	cmd.AddCommand(newQueryPromQL())
	return cmd
}

// promqlFlags are the options of `query promql`, as written.
type promqlFlags struct {
	url, tenant, output         string
	time, start, end, step, ago string
	timeout                     time.Duration
}

var outputs = []string{"table", "json", "csv", "plot"}

func newQueryPromQL() *cobra.Command {
	var f promqlFlags
	cmd := &cobra.Command{
		Use:   "promql EXPR",
		Short: "Evaluate a PromQL expression",
		Long: `Evaluate a PromQL expression on a running server, or on any other server with
the Prometheus HTTP API.

Without --start, --end, --step and --since it is evaluated at one instant and
shown as a table; with any of them over a range and shown as a plot with a
summary of each series.

Times are RFC 3339, seconds since 1970, "now" or relative to now: -90m, now-1d.
Durations are written as Prometheus does: 30s, 5m, 1h30m, 7d.
User and password go into the address: https://user:password@host.`,
		Example: `  signalbox query promql up
  signalbox query promql 'rate(http_requests_total[5m])' --time -1h
  signalbox query promql 'sum by (job) (rate(http_requests_total[5m]))' --since 6h
  signalbox query promql node_load1 --start -2h --end -1h --step 15s --output csv
  signalbox query promql up --url http://prometheus:9090 --tenant team-a --output json`,
		Args: exactArgs("EXPR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := f.query(args[0], time.Now())
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runPromQL(ctx, cmd, &f, q)
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.url, "url", defaultURL, "`ADDRESS` of the server")
	fl.StringVar(&f.tenant, "tenant", "", "`TENANT` whose data are read, several as a|b; the server's default without")
	fl.StringVarP(&f.output, "output", "o", "", "`FORMAT`: table, json, csv or plot (default table for an instant, plot for a range)")
	fl.StringVar(&f.time, "time", "", "`TIME` of the evaluation (default now)")
	fl.StringVar(&f.start, "start", "", "first `TIME` of a range (default 1h before --end)")
	fl.StringVar(&f.end, "end", "", "last `TIME` of a range (default now)")
	fl.StringVar(&f.step, "step", "", "`DURATION` between the points of a range (default by the length of the range)")
	fl.StringVar(&f.ago, "since", "", "range of this `DURATION` up to --end")
	fl.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long to wait for the answer")
	return cmd
}

// promqlQuery is one query, all times known.
type promqlQuery struct {
	expr       string
	isRange    bool
	at         time.Time // zero for "now by the server's clock"
	start, end time.Time
	step       time.Duration
}

// query turns the flags into a query; now is the instant that relative times
// start from.
func (f *promqlFlags) query(expr string, now time.Time) (promqlQuery, error) {
	q := promqlQuery{expr: expr}
	if strings.TrimSpace(expr) == "" {
		return q, usagef("EXPR is empty")
	}
	if f.output != "" && !slices.Contains(outputs, f.output) {
		return q, usagef("--output %q is none of %s", f.output, strings.Join(outputs, ", "))
	}
	q.isRange = f.start != "" || f.end != "" || f.step != "" || f.ago != "" || f.output == "plot"
	if !q.isRange {
		var err error
		if f.time != "" {
			q.at, err = parseTime("--time", f.time, now)
		}
		return q, err
	}
	if f.time != "" {
		return q, usagef("--time is for one instant; a range has --start and --end")
	}
	if f.start != "" && f.ago != "" {
		return q, usagef("--start and --since both say where the range starts; give one of them")
	}
	return q, f.rangeInto(&q, now)
}

func (f *promqlFlags) rangeInto(q *promqlQuery, now time.Time) error {
	var err error
	q.end = now
	if f.end != "" {
		if q.end, err = parseTime("--end", f.end, now); err != nil {
			return err
		}
	}
	q.start = q.end.Add(-time.Hour)
	switch {
	case f.start != "":
		if q.start, err = parseTime("--start", f.start, now); err != nil {
			return err
		}
	case f.ago != "":
		d, err := config.ParseDuration(f.ago)
		if err != nil || d <= 0 {
			return usagef("--since %q is not a duration such as 90m or 7d", f.ago)
		}
		q.start = q.end.Add(-d)
	}
	if !q.start.Before(q.end) {
		return usagef("the range ends (%s) before it starts (%s); see --start and --end", stamp(q.end), stamp(q.start))
	}
	q.step = stepFor(q.end.Sub(q.start))
	if f.step != "" {
		if q.step, err = parseStep(f.step); err != nil {
			return err
		}
	}
	return nil
}

// runPromQL asks and shows.
func runPromQL(ctx context.Context, cmd *cobra.Command, f *promqlFlags, q promqlQuery) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	client, err := newClient(f.url, f.tenant)
	if err != nil {
		return err
	}
	ans, err := client.promql(ctx, q)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s gave no answer within %s (--timeout)", client.shown, f.timeout)
		}
		return showPosition(err, q.expr)
	}
	for _, w := range ans.Warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
	}
	for _, i := range ans.Infos {
		fmt.Fprintln(cmd.ErrOrStderr(), "info:", i)
	}
	return render(cmd.OutOrStdout(), f.output, q, ans)
}
