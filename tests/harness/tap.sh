# SPDX-License-Identifier: MIT
# TAP from a shell test: check 'what is right' "$(what is wrong, or nothing)", and
# checked at the end. To be sourced.
# shellcheck shell=sh
n=0
check() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

checked() {
	echo "1..$n"
}
