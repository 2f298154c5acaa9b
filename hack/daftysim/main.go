// Command daftysim runs the simulated Dafty as a program.
//
// It prints the base URL of the API, on a line of its own, once it serves.
// Its state is under /_sim/ of the same address; see package daftysim.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "daftysim:", err)
		os.Exit(1)
	}
}

// settings are the values of the flags.
type settings struct {
	listen  string
	remote  bool
	options daftysim.Options
}

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{options: daftysim.Options{Admin: true}}
	o := &s.options
	fs := flag.NewFlagSet("daftysim", flag.ContinueOnError)
	fs.SetOutput(stderr)

	fs.StringVar(&s.listen, "listen", "127.0.0.1:8090", "address to listen on; port 0 takes a free one")
	fs.BoolVar(&s.remote, "allow-remote", false, "allow an address that other machines can reach")

	accounts := map[string][]string{}
	fs.Func("api-key", "`[account=]key` to accept, repeatable; without any, every key is accepted and has an account of its own", func(v string) error {
		account, key, named := strings.Cut(v, "=")
		if !named {
			account, key = "default", v
		}
		if key == "" {
			return errors.New("the key is empty")
		}
		accounts[account] = append(accounts[account], key)
		return nil
	})
	credits := fs.Int("credits", daftysim.DefaultCredits, "balance of each account, in CU")

	pending := fs.Duration("pending", time.Second, "how long a job is pending")
	processing := fs.Duration("processing", 3*time.Second, "how long a job is processing")
	perOperation := map[daftysim.Operation]time.Duration{}
	fs.Func("processing-for", "`operation=duration`, for one operationId, repeatable", func(v string) error {
		operation, d, _ := strings.Cut(v, "=")
		duration, err := time.ParseDuration(d)
		perOperation[daftysim.Operation(operation)] = duration
		return err
	})
	fast := fs.Bool("fast", false, "jobs take a fifth of a second")
	fs.BoolVar(&o.Manual, "manual", false, "jobs move only by POST /_sim/jobs/{id}/start and /finish")
	fs.DurationVar(&o.ThumbnailAfter, "thumbnail-after", 0, "how long a completed video has no thumbnail")

	noLimits := fs.Bool("no-limits", false, "lift all rate limits")
	fs.IntVar(&o.Ceilings.Images, "concurrent-images", 0, "image jobs in flight per key; 0: no bound")
	fs.IntVar(&o.Ceilings.Videos, "concurrent-videos", 0, "video jobs in flight per key; 0: no bound")
	fs.Func("variant", "`name=reading` of what Dafty leaves undocumented, repeatable:"+readings(), func(v string) error {
		name, reading, _ := strings.Cut(v, "=")
		return o.Variants.Set(name, reading)
	})
	fs.Uint64Var(&o.Seed, "seed", 0, "makes ids repeat; 0 draws them at random")
	fs.IntVar(&o.RequestLog, "request-log", 0, "how many requests to remember; 0: 10000; -1: none")
	fs.BoolVar(&o.SkipAnswerValidation, "skip-answer-validation", false, "trust the simulator's own answers, for load tests")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if fs.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}

	if *fast {
		*pending, *processing = 50*time.Millisecond, 150*time.Millisecond
	}
	o.PendingFor = daftysim.Fixed(*pending)
	o.ProcessingFor = daftysim.PerOperation(perOperation, *processing)
	if *noLimits {
		o.Limits = daftysim.NoLimits
	}
	balance := *credits
	if balance == 0 {
		balance = -1 // none, where 0 would be the default
	}
	o.AnyKey = len(accounts) == 0
	o.NewAccount.Credits = balance
	for name, keys := range accounts {
		o.Accounts = append(o.Accounts, daftysim.Account{Name: name, APIKeys: keys, Credits: balance})
	}
	slices.SortFunc(o.Accounts, func(a, b daftysim.Account) int { return strings.Compare(a.Name, b.Name) })
	return s, nil
}

func readings() string {
	var b strings.Builder
	for _, f := range daftysim.VariantFields() {
		fmt.Fprintf(&b, "\n  %s=%s (%s)", f.Name, strings.Join(f.Readings, "|"), f.Question)
	}
	return b.String()
}

// run serves until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // the server has closed it before
	if ip := listener.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() && !s.remote {
		return fmt.Errorf("%s can be reached by other machines; say --allow-remote if it should be", listener.Addr())
	}

	sim := daftysim.New(s.options)
	server := &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(stdout, "http://%s%s\n", listener.Addr(), daftysim.BasePath); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}

	sim.Close() // ends requests with wait=true, which would keep the server open
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if violations := sim.Violations(); len(violations) > 0 {
		fmt.Fprintf(stderr, "daftysim: %d violations, the first: %s\n", len(violations), violations[0])
	}
	return nil
}
