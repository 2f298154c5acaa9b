#!/usr/bin/env bash
# controller-runtime's backoff counts events, not time: an outage of seconds can be followed by minutes of silence.
#
# A reconcile that fails is tried again after 5 ms, doubled for each failure in a row, up to 1000 s. A watch event on
# the object in between brings it back at once, and if that reconcile fails too, it counts as one more failure in a row. So
# the wait after an outage doesn't follow from how long the outage lasted, but from how many events the object had
# in it: with 17 events within a few seconds the next try by itself is more than five minutes away.
#
# Seen with sigs.k8s.io/controller-runtime v0.25.2 (its priority queue, which is the default, with the rate limiter that it
# gives each controller) and k8s.io/client-go v0.37.2:
#
#   17 failed reconciles in a row, all but the first by a watch event; the next is due in 10m55.36s
#
# A controller that has to go on soon after an outage sets RateLimiter itself, with a maximum of its own.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >main.go <<'EOF'
package main

import (
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

func main() {
	// As controller.New makes them where the options name none.
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, 1000*time.Second)
	queue := priorityqueue.New("finding", func(o *priorityqueue.Opts[string]) { o.RateLimiter = limiter })
	defer queue.ShutDown()

	for limiter.NumRequeues("default/hero") < 17 {
		queue.Add("default/hero") // a watch event
		item, _ := queue.Get()
		queue.AddRateLimited(item) // as after a reconcile that returned an error
		queue.Done(item)
	}
	fmt.Println("17 failed reconciles in a row, all but the first by a watch event; the next is due in", limiter.When("default/hero"))
}
EOF
go mod init finding >/dev/null 2>&1
go get sigs.k8s.io/controller-runtime@v0.25.2 k8s.io/client-go@v0.37.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1

want='17 failed reconciles in a row, all but the first by a watch event; the next is due in 10m55.36s'
got=$(go run .)
echo "$got"
if [[ $got != "$want" ]]; then
	echo "changed: this used to be: $want" >&2
	exit 1
fi
