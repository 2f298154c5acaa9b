package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// headStart is how long only the other client uses the key: as long as Dafty counts.
const headStart = time.Minute

// sharedKey: another client, which came first, creates jobs with the same key at a steady rate, whatever Dafty answers.
func sharedKey(ctx context.Context, e *environment) error {
	length := e.scaledTime(4*time.Minute, 2*time.Minute)
	if _, err := e.startAll(ctx, daftysim.Options{
		PendingFor: daftysim.Fixed(time.Second), ProcessingFor: daftysim.Fixed(19 * time.Second),
	}, 1); err != nil {
		return err
	}
	other := &otherClient{url: e.dafty.url, key: apiKey(0), every: 6 * time.Second}
	over := make(chan error, 1)
	go func() { over <- other.create(ctx, headStart+length) }()
	if !pause(ctx, headStart) {
		return context.Cause(ctx)
	}
	began := time.Now()
	// More than the key can take in that time, so that some always wait.
	if err := e.kube.createJobs(ctx, namespace, imagesAMinute*(2+int(length.Minutes())), 1); err != nil {
		return err
	}
	if err := <-over; err != nil {
		return err
	}
	calls, refusals := e.dafty.meter.count(anyCall), e.dafty.meter.count(refused)
	e.atMost("the operator's calls answered 429", 100*share(refusals, calls), "%", 1)
	e.measure("the operator's calls answered 429, number", float64(refusals), "")
	ours, theirs := afterFirstMinute(e.dafty.Ledger(), began, length)
	e.atLeast("the operator's creates a minute", ours, "", 1)
	e.atLeast("the other's creates a minute, of 10 tried", theirs, "", 1)
	return nil
}

// afterFirstMinute returns how many creates a minute Dafty accepted from the operator and from the other client after the first minute.
func afterFirstMinute(ledger []daftysim.Entry, began time.Time, length time.Duration) (ours, theirs float64) {
	minutes := (length - time.Minute).Minutes()
	for _, entry := range ledger {
		at := entry.Created.Sub(began)
		switch {
		case at < time.Minute || at >= length:
		case strings.HasPrefix(entry.IdempotencyKey, otherClientKey):
			theirs += 1 / minutes
		default:
			ours += 1 / minutes
		}
	}
	return ours, theirs
}

// share returns part as a share of all; 0 if all is 0.
func share(part, all int) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// otherClientKey begins the idempotency keys of the other client.
const otherClientKey = "somebody-else-"

// otherClient is another program with the same key.
type otherClient struct {
	url, key string
	every    time.Duration
}

// create creates jobs at a steady rate for a time.
func (s *otherClient) create(ctx context.Context, length time.Duration) error {
	body, err := json.Marshal(map[string]string{"prompt": "Somebody else's picture"})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for n := range int(length / s.every) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if err := s.post(ctx, n, body); err != nil {
			return err
		}
	}
	return nil
}

func (s *otherClient) post(ctx context.Context, n int, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/images/generate", bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"X-Api-Key": s.key, "User-Agent": "somebody-else", "Content-Type": "application/json",
		"Idempotency-Key": fmt.Sprint(otherClientKey, n),
	} {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	err = errors.Join(err, answer.Body.Close())
	if answer.StatusCode != http.StatusAccepted && answer.StatusCode != http.StatusTooManyRequests {
		err = errors.Join(err, fmt.Errorf("somebody else's create: %s", answer.Status))
	}
	return err
}
