package main

import (
	"flag"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// highestLogLevel is the last one at which client-go prints no body of a request or an answer. From 8 on it prints each that it
// reads, and Secrets are among them.
const highestLogLevel = 7

// bindLogFlags defines the flags of the log.
func bindLogFlags(flags *flag.FlagSet) *zap.Options {
	options := &zap.Options{}
	options.BindFlags(flags)
	level := flags.Lookup("zap-log-level")
	level.Value = &cappedLevel{set: level.Value.Set}
	level.Usage = "level of the log: panic, error, info, debug, or a number from 1 (debug) to 7, where a higher one tells more; " +
		"anything above counts as 7, as client-go would then print what it reads, Secrets too; info by default"
	// What the library says of its default isn't so.
	flags.Lookup("zap-time-encoding").Usage = "time encoding of the log: epoch, millis, nano, iso8601, rfc3339 or rfc3339nano; rfc3339 by default"
	return options
}

// cappedLevel takes a level above the highest for that.
type cappedLevel struct {
	set   func(string) error
	value string
}

func (l *cappedLevel) Set(value string) error {
	if level, err := strconv.Atoi(value); err == nil && level > highestLogLevel {
		value = strconv.Itoa(highestLogLevel)
	}
	l.value = value
	return l.set(value)
}

func (l *cappedLevel) String() string { return l.value }
