package kubetest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// watchdog kills the control plane's programs and removes their folder when this process ends, also by a signal, a panic
// in a goroutine or go test's timeout, none of which run deferred functions or TestMain's end. It is a shell that reads from a
// pipe of ours: the kernel closes that however we die.
type watchdog struct {
	dir  string
	pipe io.Closer
	cmd  *exec.Cmd
}

// A program's process id may be another's by now if it ended by itself: only what has our folder on its command line is
// killed. The file "stopped" keeps wrapped programs from starting any more.
const watchdogScript = `
dir=$1
cmdline() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null || ps -o args= -p "$1" 2>/dev/null; }
while read -r _; do :; done
: >"$dir/stopped"
for file in "$dir"/*.pid; do
	[ -e "$file" ] || continue
	read -r pid <"$file"
	case "$(cmdline "$pid")" in *"$dir"*) kill -9 "$pid" ;; esac
done
# What was just killed may be writing its last.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf "$dir" 2>/dev/null && exit
	sleep 0.2
done
`

// wrapperScript becomes the program, under the same process id, after writing that down. Being asked for help
// (envtest does that to learn of flags) is no reason to.
const wrapperScript = `#!/bin/sh
dir=%[1]s
[ -e "$dir/stopped" ] && exit 1
case "$*" in --help) ;; *) echo $$ >"$dir/%[2]s.pid" ;; esac
exec %[3]s "$@"
`

func startWatchdog(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "kubetest-watchdog", dir)
	// Out of our process group, so that a Ctrl-C in a terminal leaves it alive to do its work.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the watchdog: %w", err)
	}
	return &watchdog{dir: dir, pipe: pipe, cmd: cmd}, nil
}

// wrap returns the path of a program that runs the given one under the watchdog's eyes. Its command line must have the
// watchdog's folder in it.
func (w *watchdog) wrap(name, program string) (string, error) {
	wrapper := filepath.Join(w.dir, "bin", name)
	if err := os.MkdirAll(filepath.Dir(wrapper), 0o700); err != nil {
		return "", err
	}
	script := fmt.Sprintf(wrapperScript, quote(w.dir), name, quote(program))
	return wrapper, os.WriteFile(wrapper, []byte(script), 0o700)
}

// guard is wrap for a program whose command line may be any: it is started by a path in the watchdog's folder.
func (w *watchdog) guard(name, program string) (string, error) {
	link := filepath.Join(w.dir, "guarded", name)
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		return "", err
	}
	if err := os.Symlink(program, link); err != nil {
		return "", err
	}
	return w.wrap(name, link)
}

// stop does what the watchdog would do at this process's end, and returns when it is done.
func (w *watchdog) stop() error {
	if err := w.pipe.Close(); err != nil {
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		return err
	}
	return w.cmd.Wait()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
