#!/bin/sh
# SPDX-License-Identifier: MIT
# The module builds on 6.1 and 6.12 without a warning, from sparse neither, and
# checkpatch has nothing to say.
cd "$(dirname "$0")/../.." || exit 1
out=$(make --no-print-directory kmod-check 2>&1)
rc=$?
n=0
for v in 6.1 6.12; do
	n=$((n + 1))
	if echo "$out" | grep -q "^kmod-check: $v\.[^ ]*: no warnings"; then
		echo "ok $n - vgpufront.ko builds cleanly on Linux $v"
	elif ls -d /lib/modules/$v.*/build >/dev/null 2>&1; then
		echo "not ok $n - vgpufront.ko builds cleanly on Linux $v"
	else
		echo "ok $n - # SKIP no headers of Linux $v on this machine"
	fi
done
n=$((n + 1))
if [ $rc = 0 ]; then
	echo "ok $n - nothing else is wrong"
else
	echo "not ok $n - nothing else is wrong"
	echo "$out" | tail -n 40 | sed 's/^/# /'
fi
echo "1..$n"
