#!/usr/bin/env bash
# Fails, with a diff, if make generate manifests chart docs changes anything. It compares the tree before and after instead of asking
# git for changes, so it can be used with uncommitted work.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# snapshot copies all files that git knows or would add.
snapshot() {
	mkdir "$work/$1"
	git ls-files -z --cached --others --exclude-standard |
		while IFS= read -r -d '' file; do
			if [[ -f $file ]]; then printf '%s\0' "$file"; fi
		done >"$work/list"
	tar --null -cf - -T "$work/list" | tar -xf - -C "$work/$1"
}

snapshot before
make --no-print-directory generate manifests chart docs
snapshot after
if ! (cd "$work" && git --no-pager diff --no-index --stat --patch before after); then
	echo "check-generated: the files above were stale; they are up to date now, commit them" >&2
	exit 1
fi
echo "check-generated: all generated files are up to date"
