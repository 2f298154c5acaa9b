package operatortest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// Memory returns what a process has in memory, in bytes, and the most that it ever had. It works on Linux only.
func (p *Process) Memory() (resident, peak float64, err error) {
	status, err := p.proc("status")
	if err != nil {
		return 0, 0, err
	}
	if resident, err = kibibytes(status, "VmRSS"); err == nil {
		peak, err = kibibytes(status, "VmHWM")
	}
	return resident, peak, err
}

// kibibytes returns the bytes of a line such as "VmRSS:  8 kB".
func kibibytes(status, name string) (float64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/PID/status has no %s", name)
}

// CPUTime returns how much of the CPUs a process has used so far. It works on Linux only.
func (p *Process) CPUTime() (time.Duration, error) {
	stat, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	return parseStat(stat)
}

func (p *Process) proc(file string) (string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.Pid(), file))
	return string(content), err
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
