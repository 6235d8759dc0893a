# SPDX-License-Identifier: MIT
# Runs one test script in dom0: `sh test.sh NAME` under confine, output to the
# test's log. Brings a clean bed up, runs /bed/t/NAME.sh, holds the bed's end
# state and every kernel's log against what a healthy system leaves, writes TAP.
set -u
. /bed/lib/bed.sh

test_begin "$1"
. "/bed/t/$1.sh"
whole=1
