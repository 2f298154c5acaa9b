package simulation

import (
	"fmt"

	"github.com/go-logr/logr"
)

// logSink checks a process's log for API keys.
type logSink struct{ p *process }

func newLogger(p *process) logr.Logger { return logr.New(logSink{p}) }

func (logSink) Init(logr.RuntimeInfo)            {}
func (logSink) Enabled(int) bool                 { return true }
func (s logSink) WithValues(...any) logr.LogSink { return s }
func (s logSink) WithName(string) logr.LogSink   { return s }
func (s logSink) Info(_ int, msg string, kv ...any) {
	s.p.env.invariants.noAPIKey("the log", fmt.Sprint(msg, kv))
}
func (s logSink) Error(err error, msg string, kv ...any) {
	s.p.env.invariants.noAPIKey("the log", fmt.Sprint(err, msg, kv))
}
