#!/usr/bin/env bash
# kubectl-validate refuses every value of a field whose rule has a CEL function that is newer than it.
#
# The format library of CEL (format.dns1123Label() and its like) came with Kubernetes 1.31. kubectl-validate compiles the rules with the
# libraries of the Kubernetes that it was built of. A rule that doesn't compile is told as a problem of the object,
# in the same list as what is wrong with that; an object without the field passes.
#
# Seen with sigs.k8s.io/kubectl-validate v0.0.4, its latest in November 2026:
#
#   with a pattern: Success
#   with format: Failure, which names an undeclared reference to 'format'
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
go mod init finding >/dev/null 2>&1
go get -tool sigs.k8s.io/kubectl-validate@v0.0.4 >/dev/null 2>&1

# validate prints what is said of an object whose field has the rule given.
validate() {
	mkdir -p "$1"
	cat >"$1/crd.yaml" <<EOF
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: planets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Planet, listKind: PlanetList, plural: planets, singular: planet}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              moon:
                type: string
                maxLength: 63
                x-kubernetes-validations:
                - rule: $2
EOF
	printf 'apiVersion: example.com/v1\nkind: Planet\nmetadata: {name: earth}\nspec: {moon: luna}\n' >planet.yaml
	{ go tool kubectl-validate --output=json --local-crds "$1" planet.yaml 2>/dev/null || true; } |
		grep -oE '"status": "[A-Za-z]+"|undeclared reference to .format.' | sort -u | tr '\n' ' '
}

got="with a pattern: $(validate pattern "self.matches('^[a-z]+\$')")
with format: $(validate format "'!format.dns1123Label().validate(self).hasValue()'")"
echo "$got"
want="with a pattern: \"status\": \"Success\" 
with format: \"status\": \"Failure\" undeclared reference to 'format' "
if [[ $got != "$want" ]]; then
	printf 'changed: this used to be:\n%s\n' "$want" >&2
	exit 1
fi
