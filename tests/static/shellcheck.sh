#!/bin/sh
# SPDX-License-Identifier: MIT
# Every shell script of the repository passes shellcheck.
cd "$(dirname "$0")/../.." || exit 1
files=$(git ls-files -co --exclude-standard | while read -r f; do
	[ -f "$f" ] || continue
	case $(head -n 1 "$f" | tr -d '\0') in '#!/bin/sh'*) echo "$f" ;; esac
done)
n=0
echo "1..$(echo "$files" | wc -l)"
for f in $files; do
	n=$((n + 1))
	if out=$(shellcheck -x -s sh "$f"); then
		echo "ok $n - shellcheck $f"
	else
		echo "not ok $n - shellcheck $f"
		echo "$out" | sed 's/^/# /'
	fi
done
