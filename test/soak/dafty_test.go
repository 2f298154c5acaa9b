package soak

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// processingTimes has how long Dafty takes for the operations that the users request: cancelled jobs must have been seen running, and others
// must end.
var processingTimes = map[daftysim.Operation]time.Duration{
	daftysim.GenerateImage: time.Second,
	daftysim.EditImage:     4 * time.Second,
	daftysim.UpscaleImage:  8 * time.Second,
	daftysim.ResizeImage:   20 * time.Second,
}

// daftyServer is a simulated Dafty that signals when it is called.
type daftyServer struct {
	*daftysim.Simulator
	url string

	// Whoever receives from one of these gets the next such moment.
	createArrives, createAnswered, cancelArrives, cancelAnswered chan struct{}
}

func newDafty(t *testing.T, env *env) *daftyServer {
	t.Helper()
	opts := daftysim.Options{
		Limits: daftysim.NoLimits, SkipAnswerValidation: true, RequestLog: 100_000,
		PendingFor:    daftysim.Fixed(500 * time.Millisecond),
		ProcessingFor: daftysim.PerOperation(processingTimes, time.Second),
	}
	for _, tenant := range env.tenants {
		opts.Accounts = append(opts.Accounts, daftysim.Account{
			Name: tenant.account, APIKeys: tenant.keys, Images: []daftysim.Image{{ID: tenant.image}},
		})
	}
	for _, p := range env.payers {
		opts.Accounts = append(opts.Accounts, daftysim.Account{Name: p.name, APIKeys: []string{p.key}, Images: []daftysim.Image{{ID: p.image}}})
	}
	d := &daftyServer{
		Simulator:     daftysim.New(opts),
		createArrives: make(chan struct{}), createAnswered: make(chan struct{}),
		cancelArrives: make(chan struct{}), cancelAnswered: make(chan struct{}),
	}
	server := httptest.NewServer(d)
	d.url = server.URL + daftysim.BasePath
	t.Cleanup(server.Close)
	t.Cleanup(d.Close) // before the server's, which waits for what is held
	return d
}

func (d *daftyServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPost {
		arrives, answered := d.createArrives, d.createAnswered
		if strings.HasSuffix(req.URL.Path, "/cancel") {
			arrives, answered = d.cancelArrives, d.cancelAnswered
		}
		notify(arrives)
		defer notify(answered) // also where the connection is dropped
	}
	d.Simulator.ServeHTTP(w, req)
}

func notify(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// injectFaults has calls to Dafty fail.
func (r *run) injectFaults(ctx context.Context, chance *rand.Rand) {
	defer r.dafty.ClearFaults()
	// There are no faults in the last moments: each lost answer would be waited for at the end.
	ctx, cancel := context.WithTimeout(ctx, r.length-min(r.length/5, 10*time.Second))
	defer cancel()
	for pause(ctx, between(chance, 100*time.Millisecond, 1500*time.Millisecond)) {
		fault := randomFault(chance)
		r.timeline.add("weather", "%d × %s %s %s: %d %s", max(1, fault.Count), fault.Operation, fault.Kind, fault.For, fault.Status, fault.Code)
		r.dafty.Inject(fault)
	}
}

// randomFault draws a fault.
func randomFault(chance *rand.Rand) daftysim.Fault {
	some := between(chance, 100*time.Millisecond, 6*time.Second)
	retryAfter := map[string]string{"Retry-After": strconv.Itoa(1 + chance.IntN(3))}
	operations := []daftysim.Operation{daftysim.GenerateImage, daftysim.EditImage, daftysim.UpscaleImage, daftysim.ResizeImage}
	create := []daftysim.Fault{
		{Kind: daftysim.FaultSlow, For: some},
		{Kind: daftysim.FaultSlow, For: some},
		{Kind: daftysim.FaultDelay, For: some},
		{Kind: daftysim.FaultDelay, For: some},
		{Kind: daftysim.FaultResetAfter},
		{Kind: daftysim.FaultResetBefore},
		{Kind: daftysim.FaultTruncate},
		{Kind: daftysim.FaultAnswer, Status: http.StatusInternalServerError},
		{Kind: daftysim.FaultAnswer, Status: http.StatusBadGateway, Effect: true},
		{Kind: daftysim.FaultGarbage, Status: http.StatusBadGateway, Effect: true},
		{Kind: daftysim.FaultAnswer, Status: http.StatusTooManyRequests, Code: "RATE_LIMIT_ERROR", Header: retryAfter},
		{Kind: daftysim.FaultAnswer, Status: http.StatusTooManyRequests, Code: "CONCURRENT_LIMIT_REACHED", Header: retryAfter},
	}
	other := []daftysim.Fault{
		{Kind: daftysim.FaultSlow, For: some},
		{Kind: daftysim.FaultResetBefore},
		{Kind: daftysim.FaultResetAfter},
		{Kind: daftysim.FaultTruncate},
		{Kind: daftysim.FaultGarbage, Status: http.StatusNotFound},
		{Kind: daftysim.FaultAnswer, Status: http.StatusInternalServerError},
		{Kind: daftysim.FaultAnswer, Status: http.StatusTooManyRequests, Code: "RATE_LIMIT_ERROR", Header: retryAfter},
	}
	var fault daftysim.Fault
	switch kind := chance.IntN(10); {
	case kind < 6:
		fault = create[chance.IntN(len(create))]
		fault.Operation = operations[chance.IntN(len(operations))]
	case kind < 8:
		fault = other[chance.IntN(len(other))]
		fault.Operation = daftysim.GetJob
		fault.Count = 1 + chance.IntN(4)
	default:
		fault = other[chance.IntN(len(other))]
		fault.Operation = daftysim.CancelJob
		fault.Count = 1 + chance.IntN(2)
	}
	return fault
}
