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

// A wrapped program writes down its process id first and looks for the file "running" then, while the watchdog removes that
// file first and looks for process ids then: whichever comes second sees the other.
//
// The process id may be another's by now if the program ended by itself: only what has our folder on its command line is
// killed. In the midst of an exec the command line is empty, though there is an executable, as a zombie has none.
const watchdogScript = `
dir=$1
cmdline() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null || ps -o args= -p "$1" 2>/dev/null; }
while read -r _; do :; done
rm -f "$dir/running"
for file in "$dir"/*.pid; do
	read -r pid <"$file" || continue
	looks=0
	while [ -z "$(cmdline "$pid")" ] && [ -e "/proc/$pid/exe" ] && [ $looks -lt 100 ]; do
		looks=$((looks + 1))
		sleep 0.02
	done
	case "$(cmdline "$pid")" in *"$dir"*) kill -9 "$pid" ;; esac
done
# What was just killed may be writing its last.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf "$dir" 2>/dev/null && exit
	sleep 0.2
done
`

// wrapperScript becomes the program, under the same process id, after writing that down. Asked for help, it has none: envtest
// looks there for flags of old versions, and a whole kube-apiserver would be loaded for it.
const wrapperScript = `#!/bin/sh
dir=%[1]s
[ "$*" != --help ] || exit 0
echo $$ >"$dir/%[2]s.pid" || exit 1
[ -e "$dir/running" ] || exit 1
exec %[3]s "$@"
`

func startWatchdog(dir string) (*watchdog, error) {
	if err := os.WriteFile(filepath.Join(dir, "running"), nil, 0o600); err != nil {
		return nil, err
	}
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
