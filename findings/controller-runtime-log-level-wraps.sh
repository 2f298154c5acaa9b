#!/usr/bin/env bash
# controller-runtime's --zap-log-level wraps around: a higher number can silence everything, errors too.
#
# The flag takes "any integer value > 0" for levels of verbosity. The number is negated and kept in 8 bits, so that 129 becomes
# 127, the highest severity there is: nothing is logged any more, not even errors. And 264 is the same as 8.
#
# Seen with sigs.k8s.io/controller-runtime v0.25.2:
#
#   --zap-log-level=8: V(8) true, V(9) false, errors true
#   --zap-log-level=128: V(8) true, V(9) true, errors true
#   --zap-log-level=129: V(8) false, V(9) false, errors false
#   --zap-log-level=264: V(8) true, V(9) false, errors true
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >main.go <<'EOF'
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"

	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

func main() {
	var options zap.Options
	flags := flag.NewFlagSet("", flag.ExitOnError)
	options.BindFlags(flags)
	_ = flags.Parse(os.Args[1:])
	var out bytes.Buffer
	log := zap.New(zap.UseFlagOptions(&options), zap.WriteTo(&out))
	log.Error(errors.New("an error"), "something went wrong")
	fmt.Printf("%s: V(8) %t, V(9) %t, errors %t\n", os.Args[1], log.V(8).Enabled(), log.V(9).Enabled(), out.Len() > 0)
}
EOF
go mod init finding >/dev/null 2>&1
go get sigs.k8s.io/controller-runtime@v0.25.2 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go build -o try .

got=$(for level in 8 128 129 264; do ./try "--zap-log-level=$level"; done)
echo "$got"
want='--zap-log-level=8: V(8) true, V(9) false, errors true
--zap-log-level=128: V(8) true, V(9) true, errors true
--zap-log-level=129: V(8) false, V(9) false, errors false
--zap-log-level=264: V(8) true, V(9) false, errors true'
if [[ $got != "$want" ]]; then
	printf 'changed: this used to be:\n%s\n' "$want" >&2
	exit 1
fi
