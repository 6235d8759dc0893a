#!/bin/sh
# SPDX-License-Identifier: MIT
# What docs/scheduling.md says of the policy holds in the simulator's runs, and by
# how much it is better than no policy. Virtual time: the same on every machine.
# The columns' names are awk's.
# shellcheck disable=SC2016
cd "$(dirname "$0")/../.." || exit 1
sim=${B:-build}/bin/vgpu-sched-sim
csv=$(mktemp) || exit 1
trap 'rm -f "$csv"' EXIT
. tests/harness/tap.sh

# Lines of the runs that are wrong, by an awk condition on the columns' names.
wrong() {
	awk -F, -v OFS=, "NR == 1 { for (i = 1; i <= NF; i++) c[\$i] = i; next }
		\$c[\"policy\"] == \"sched\" && ($1)" "$csv"
}

check '2, 10 and 100 guests are run' "$("$sim" 2 10 100 2>&1 >"$csv" ||
	echo "exit status $?"; [ "$(wc -l <"$csv")" = 13 ] || cat "$csv")"
check "Jain's index of busy guests is above 0.9999" \
	"$(wrong '$c["jain"] < 0.9999')"
check 'no share is off its weight by more than 1 %' \
	"$(wrong '$c["worst_share_error"] > 0.01')"
check 'nobody gets more than its cap' \
	"$(wrong '$c["most_of_cap"] > 1.001')"
check 'one who wakes up waits for 0.3 ms at the median, 3 ms at worst' \
	"$(wrong '$c["waker_p50_us"] > 310 || $c["waker_worst_us"] > 3000')"
check 'switches between processes cost less than 7 %, with MPS 0.5 %' \
	"$(wrong '$c["switching_percent"] > ($c["switch_us"] > 5 ? 7 : 0.5)')"
check 'the GPU never idles while a guest waits' \
	"$(wrong '$c["idle_percent"] > 0')"
check 'a number that is none ends in the usage' \
	"$("$sim" 1 2>&1 | grep -q '^usage: ' || echo 'no usage')"
checked
