#!/bin/sh
# SPDX-License-Identifier: MIT
# What the documents name is there: files they link to, targets of make, and
# the two commands in the README.
cd "$(dirname "$0")/../.." || exit 1
. tests/harness/tap.sh

pages=$(git ls-files -co --exclude-standard '*.md')
check 'every relative link leads somewhere' "$(for p in $pages; do
	grep -o '](\([^)#]*\)' "$p" | sed 's/^](//' | grep -v '^[a-z]*:' | while read -r l; do
		[ -z "$l" ] || [ -e "$(dirname "$p")/$l" ] || echo "$p: $l"
	done
done)"
# shellcheck disable=SC2016 # the backticks are Markdown's
check 'every path in the README exists' "$(grep -o '`[a-z-][a-z-]*/[a-z/._-]*`' README.md | tr -d '`' | sort -u |
	while read -r f; do
		[ -e "$f" ] || [ -e "tests/$f" ] || echo "$f"
	done)"
# shellcheck disable=SC2016
check 'every target the pages name exists' "$(grep -ho '`make [a-z][a-z-]*' README.md docs/*.md | sed 's/`make //' | sort -u |
	while read -r t; do
		grep -rqE "^([a-z-]+ )*$t( [a-z-]+)*:" Makefile ./*/*.mk ./*/*/*.mk || echo "make $t"
	done)"
check 'the README names its two commands' "$(for c in 'make demo' 'make check'; do
	grep -q "$c" README.md || echo "$c"
done)"
checked
