package main

import (
	"flag"
	"io"
	"testing"

	"go.uber.org/zap/zapcore"
)

// However high a level is given, what client-go prints with bodies isn't on. The library itself takes a level modulo 256.
func TestLogLevelIsCapped(t *testing.T) {
	for given, lowest := range map[string]zapcore.Level{
		"panic": zapcore.PanicLevel, "error": zapcore.ErrorLevel, "info": zapcore.InfoLevel, "debug": zapcore.DebugLevel,
		"1": -1, "5": -5, "7": -7, "8": -7, "9": -7, "+10": -7, "0009": -7, "127": -7, "128": -7, "129": -7, "255": -7, "264": -7, "2147483647": -7,
	} {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		options := bindLogFlags(flags)
		if err := flags.Parse([]string{"--zap-log-level=" + given}); err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if !options.Level.Enabled(lowest) || options.Level.Enabled(lowest-1) {
			t.Errorf("%s: the lowest level is %v, want %v", given, options.Level, lowest)
		}
	}
	for _, given := range []string{"0", "-1", "-9", "loud", "8.5", "0x9", "99999999999999999999", ""} {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		bindLogFlags(flags)
		if err := flags.Parse([]string{"--zap-log-level=" + given}); err == nil {
			t.Errorf("%q is taken for a level", given)
		}
	}
}
