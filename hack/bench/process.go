package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// resident is a process's memory in bytes, and the most that it ever was.
func resident(pid int) (now, peak float64, err error) {
	file := fmt.Sprintf("/proc/%d/status", pid)
	for _, f := range []struct {
		name string
		to   *float64
	}{{"VmRSS", &now}, {"VmHWM", &peak}} {
		kib, err := strconv.ParseFloat(strings.TrimSuffix(field(file, f.name), " kB"), 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%s has no %s: %w", file, f.name, err)
		}
		*f.to = kib * 1024
	}
	return now, peak, nil
}

// cpuTime is what a process has used of the CPUs so far.
func cpuTime(pid int) (time.Duration, error) {
	return parseStat(content(fmt.Sprintf("/proc/%d/stat", pid)))
}

func parseStat(stat string) (time.Duration, error) {
	// The program's name, in brackets, may hold anything; utime and stime are the 12th and 13th field after it.
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected /proc/PID/stat %q", stat)
	}
	var sum time.Duration
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * clockTick
	}
	return sum, nil
}
