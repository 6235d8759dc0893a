#!/bin/sh
# SPDX-License-Identifier: MIT
# For prove: boots the bed and runs every test of t/, which leave their TAP in
# build/bed/tap/. What is tested here is that the bed itself came to its end.
cd "$(dirname "$0")/../.." || exit 1
tests/bed/run >&2
status=$?
echo 1..1
if [ "$status" -le 1 ]; then
	echo 'ok 1 - the bed booted, and every test came to its end'
else
	echo 'not ok 1 - the bed booted, and every test came to its end'
	echo '# see build/bed/log/serial.log'
fi
