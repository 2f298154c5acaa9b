// Command bench measures the operator's speed and its use of resources: the built operator, a real Kubernetes control plane and a simulated
// Dafty, on this machine, over loopback.
//
// Each scenario has a control plane, a Dafty and operator processes of its own, and ends by itself. The results are
// printed as a table and written as JSON, which a later run can be compared with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// settings has the values of the flags.
type settings struct {
	run          *regexp.Regexp
	list         bool
	json         string // file to write
	compare      string // file to compare with
	scale        float64
	rateWindow   daftysim.RateWindow
	program      string // the operator; "": built from this checkout
	operatorArgs []string
	logs         string // folder; "": dist/bench
}

var errMissed = errors.New("not all that must be reached was")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C doesn't wait for an orderly end
	err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{run: regexp.MustCompile(""), rateWindow: daftysim.RateWindowSliding}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Func("run", "`regexp` of the scenarios to play; all by default", func(v string) (err error) {
		s.run, err = regexp.Compile(v)
		return err
	})
	fs.BoolVar(&s.list, "list", false, "list the scenarios")
	fs.StringVar(&s.json, "json", "", "`file` to write the results to; dist/bench.json by default")
	fs.StringVar(&s.compare, "compare", "", "`file` with the results of an earlier run, to be printed beside these")
	fs.Float64Var(&s.scale, "scale", 1, "shrink the scenarios, such as 0.1, to try them out; what must be reached is meant for 1")
	fs.Func("rate-window", "how Dafty counts a minute, `sliding or fixed`, where the scenario doesn't say", func(v string) error {
		s.rateWindow = daftysim.RateWindow(v)
		return (&daftysim.Variants{}).Set("rate-window", v)
	})
	fs.StringVar(&s.program, "operator", "", "`file` of the operator to measure; built from this checkout by default")
	fs.Func("operator-arg", "`flag` to start the operator with, beside the scenario's own; repeatable", func(v string) error {
		s.operatorArgs = append(s.operatorArgs, v)
		return nil
	})
	fs.StringVar(&s.logs, "logs", "", "`folder` for the programs' logs; dist/bench by default")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	switch {
	case fs.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q: all options begin with -", fs.Arg(0))
	case s.scale <= 0 || s.scale > 1:
		return s, errors.New("-scale must be more than 0, and at most 1")
	}
	return s, nil
}

func bench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if s.list {
		fmt.Fprint(stdout, listing(scenarios))
		return nil
	}
	var earlier *report
	if s.compare != "" {
		if earlier, err = readReport(s.compare); err != nil {
			return err
		}
	}
	root, err := sourcetree.Root()
	if err != nil {
		return err
	}
	s.placeIn(root)
	r, err := measure(ctx, s, root, stderr)
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, r.machineLine(), "\n\n", table(r))
	if earlier != nil {
		fmt.Fprint(stdout, "\n", comparison(earlier, r))
	}
	if err := r.write(s.json); err != nil {
		return err
	}
	fmt.Fprintln(stderr, "written to", s.json)
	if !r.met() {
		return errMissed
	}
	return nil
}

// placeIn sets the files that the flags don't name.
func (s *settings) placeIn(root string) {
	if s.json == "" {
		s.json = filepath.Join(root, "dist", "bench.json")
	}
	if s.logs == "" {
		s.logs = filepath.Join(root, "dist", "bench")
	}
}

// measure plays the chosen scenarios one after the other. An error means that none could be played.
func measure(ctx context.Context, s settings, root string, stderr io.Writer) (*report, error) {
	chosen := choose(scenarios, s.run)
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no scenario matches; there are %s", strings.Join(names(scenarios), ", "))
	}
	if err := raiseFileLimit(); err != nil {
		fmt.Fprintln(stderr, "bench: raising the limit of open files:", err)
	}
	folder, err := os.MkdirTemp("", "dafty-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if s.program == "" {
		s.program = filepath.Join(folder, "manager")
		if err := gobuild.Operator(ctx, root, s.program); err != nil {
			return nil, err
		}
	}
	r := newReport(ctx, root, s.scale)
	for _, sc := range chosen {
		if ctx.Err() != nil {
			r.Failures[sc.name] = "interrupted"
			continue
		}
		r.add(sc.name, play(ctx, s, sc, folder, stderr))
	}
	return r, nil
}
