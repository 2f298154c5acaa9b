package main

import (
	"encoding/pem"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// dafty is a simulated Dafty behind a meter.
type dafty struct {
	*daftysim.Simulator
	meter *meter
	url   string
	certs string // file of the certificate; "": plain http
}

// serve starts a simulated Dafty that accepts every key. It checks what clients send; its own answers
// are checked by its tests.
func (e *environment) serve(options daftysim.Options, https bool) error {
	options.AnyKey, options.SkipAnswerValidation, options.RequestLog = true, true, -1
	if options.Variants.RateWindow == "" {
		options.Variants.RateWindow = e.rateWindow
	}
	sim := daftysim.New(options)
	d := &dafty{Simulator: sim, meter: newMeter(sim)}
	server := httptest.NewUnstartedServer(d.meter)
	e.atEnd(func() error {
		sim.Close() // before the server's, which waits for what is held
		server.CloseClientConnections()
		server.Close()
		return nil
	})
	if https {
		server.EnableHTTP2 = true
		server.StartTLS()
		d.certs = filepath.Join(e.folder, "dafty.pem")
		block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
		if err := os.WriteFile(d.certs, pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	} else {
		server.Start()
	}
	d.url = server.URL + daftysim.BasePath
	e.dafty = d
	return nil
}

// environment returns the variables with which an operator trusts this Dafty.
func (d *dafty) environment() []string {
	if d.certs == "" {
		return nil
	}
	return []string{"SSL_CERT_FILE=" + d.certs}
}

// between draws durations, the same ones in each run.
func between(from, to time.Duration) func(daftysim.Operation) time.Duration {
	dice := rand.New(rand.NewPCG(1, 2))
	// The simulator asks under its lock.
	return func(daftysim.Operation) time.Duration { return from + time.Duration(dice.Int64N(int64(to-from)+1)) }
}

// liftedCreates lets a key create as it likes, and says so in the headers of each answer; all else is as documented.
var liftedCreates = daftysim.Limits{Images: 1_000_000}
