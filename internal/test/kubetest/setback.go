package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Snapshot copies what etcd has stored into a folder that isn't there yet. For that it is killed and started again, so that the copy is of one
// moment; kube-apiserver connects to it again by itself.
func (cp *ControlPlane) Snapshot(ctx context.Context, folder string) error {
	if err := cp.kill(ctx, "etcd"); err != nil {
		return err
	}
	if err := os.CopyFS(folder, os.DirFS(cp.env.ControlPlane.Etcd.DataDir)); err != nil {
		return err
	}
	return cp.startEtcd()
}

// SetBack puts a snapshot in place of what etcd has stored since, as the restore of a backup does: etcd and kube-apiserver are killed, and
// started again at the same addresses. Watches break, and resourceVersions begin again at those of the snapshot.
func (cp *ControlPlane) SetBack(ctx context.Context, snapshot string) error {
	for _, name := range []string{"kube-apiserver", "etcd"} {
		if err := cp.kill(ctx, name); err != nil {
			return err
		}
	}
	data := cp.env.ControlPlane.Etcd.DataDir
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.CopyFS(data, os.DirFS(snapshot)); err != nil {
		return err
	}
	if err := os.Chmod(data, 0o700); err != nil {
		return err
	}
	if err := cp.startEtcd(); err != nil {
		return err
	}
	apiServer := cp.env.ControlPlane.GetAPIServer()
	return cp.startAgain("kube-apiserver", &apiServer.Out, &apiServer.Err, apiServer.Start)
}

func (cp *ControlPlane) startEtcd() error {
	etcd := cp.env.ControlPlane.Etcd
	return cp.startAgain("etcd", &etcd.Out, &etcd.Err, etcd.Start)
}

// startAgain starts one of envtest's programs that ran before. Its log goes on.
func (cp *ControlPlane) startAgain(name string, stdout, stderr *io.Writer, start func() error) error {
	log, err := os.OpenFile(filepath.Join(cp.LogDir, name+".log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the program has its own descriptor
	*stdout, *stderr = log, log
	if err := start(); err != nil {
		return fmt.Errorf("starting %s again: %w%s", name, err, cp.logTail(name))
	}
	return nil
}

// kill ends a program that the watchdog has wrapped, and returns once it is gone.
func (cp *ControlPlane) kill(ctx context.Context, name string) error {
	raw, err := os.ReadFile(filepath.Join(cp.dir, name+".pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing %s: %w", name, err)
	}
	// It is gone once envtest has waited for it.
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("killing %s: %w", name, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
