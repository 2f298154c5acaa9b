#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version, such as v0.1.0, and fails where it says nothing: release-notes.sh VERSION
set -euo pipefail
cd "$(dirname "$0")/.."

notes=$(awk -v heading="## ${1:?a version, such as v0.1.0}" '
	/^## / { inside = $0 == heading || index($0, heading " ") == 1; next }
	inside { print }
' CHANGELOG.md | sed '/./,$!d')
if [[ -z $notes ]]; then
	echo "release-notes: CHANGELOG.md has no section \"## $1\" with anything in it: rename \"## Unreleased\" in the commit that is tagged" >&2
	exit 1
fi
printf '%s\n' "$notes"
