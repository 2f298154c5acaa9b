// Kube-assets prints the folder that holds etcd, kube-apiserver, kube-controller-manager and kubectl, and builds them
// first where they are missing. Stdout gets the folder and nothing else; progress goes to stderr.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"dafty.ai/dafty-operator/internal/test/kubeassets"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	dir, err := kubeassets.Folder(ctx, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube-assets:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}
