package kubetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// controllers lists the controllers that mean something without nodes.
var controllers = []string{
	"namespace-controller", "garbage-collector-controller",
	"serviceaccount-controller", "serviceaccount-token-controller", "root-ca-certificate-publisher-controller",
	"clusterrole-aggregation-controller", "resourcequota-controller",
	"deployment-controller", "replicaset-controller", "job-controller", "disruption-controller",
}

func (cp *ControlPlane) startControllerManager(ctx context.Context, timeout time.Duration) error {
	const name = "kube-controller-manager"
	certs := cp.env.ControlPlane.APIServer.CertDir
	rootCA := filepath.Join(cp.dir, "root-ca.crt")
	if err := os.WriteFile(rootCA, cp.Config.CAData, 0o600); err != nil {
		return err
	}
	program, err := cp.watchdog.wrap(name, cp.Asset(name))
	if err != nil {
		return err
	}
	log, err := cp.logFile(name)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()

	cmd := exec.Command(program,
		"--kubeconfig="+cp.Kubeconfig,
		"--controllers="+strings.Join(controllers, ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--root-ca-file="+rootCA,
		"--service-account-private-key-file="+filepath.Join(certs, "sa-signer.key"),
		"--kube-api-qps=1000", "--kube-api-burst=2000",
	)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := cp.controllersWork(ctx, timeout, ended); err != nil {
		return fmt.Errorf("starting %s: %w%s", name, err, cp.logTail(name))
	}
	return nil
}

// controllersWork waits for the first thing that controllers do in a new cluster: every namespace gets a service account.
func (cp *ControlPlane) controllersWork(ctx context.Context, timeout time.Duration, ended <-chan error) error {
	c, err := cp.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it did nothing within %s", timeout))
	defer cancel()
	for {
		err := c.Get(ctx, types.NamespacedName{Namespace: "default", Name: "default"}, &corev1.ServiceAccount{})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) && ctx.Err() == nil {
			return err
		}
		select {
		case err := <-ended:
			return errors.Join(errors.New("it ended"), err)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
