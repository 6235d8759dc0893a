# SPDX-License-Identifier: MIT
# Runs the tests of /bed/plan one after the other, in dom0. A test runs in its
# own processes under `confine`: whatever it does, the next one starts clean.
#
# A line of /bed/plan: NAME SECONDS GRACE, the latter to report and clean up in,
# past its limit. Lines for the machine outside go to
# /bed/stream: "hello", "begin NAME", "tap ...", "say ...", "end NAME", "done".

tell() { echo "$*" >>/bed/stream; }

# sweep: ends every guest and what is left of the daemon, whoever started it
sweep() {
	for d in $(xenstore-list /local/domain); do
		[ "$d" = 0 ] || xl destroy "$d"
	done
	for p in vgpubackd vgpu-worker; do
		killall -q -KILL $p
	done
	xenstore-rm /local/domain/0/backend/vgpu 2>/dev/null
}

run_test() {
	log=/bed/log/$1
	# Guests of one name come again and again: nothing is remembered of the last test.
	rm -rf /run/bed/"$1" /var/lib/xen-vgpu
	mkdir -p "$log" /run/bed
	echo "bed: begin $1" >/dev/kmsg
	tell "begin $1"
	confine "$2" "$3" sh /bed/lib/test.sh "$1" >>"$log/test.log" 2>&1 </dev/null
	status=$?
	if [ ! -e "$log/complete" ]; then
		{
			echo "not ok $(($(grep -cE '^(not )?ok ' "$log/tap") + 1)) - the test ran to its end"
			echo "# status $status, time limit $2 s; the last lines of its log:"
			tail -n 15 "$log/test.log" | sed 's/^/# /'
			echo "1..$(grep -cE '^(not )?ok ' "$log/tap" | awk '{ print $1 + 1 }')"
		} >"$log/tap.rest" 2>/dev/null
		cat "$log/tap.rest" >>"$log/tap"
		sed 's/^/tap /' "$log/tap.rest" >>/bed/stream
	fi
	sweep >>"$log/test.log" 2>&1
	dmesg -c >>"$log/dom0-kernel.log"
	xl dmesg -c >>"$log/xen.log"
	mv /bed/log/console/* "$log/" 2>/dev/null
}

# QEMU 7.2 now and then loses a PVH or HVM guest (README.md). Where that is all that was
# wrong the test runs again, twice at most: a bug of ours comes again.
run_again() {
	run_test "$@"
	for again in 1 2; do
		[ -e "$log/lost-guest" ] || break
		mv "$log" "$log.lost$again"
		tell "say $1: QEMU lost a guest to a triple fault; the test runs once more"
		run_test "$@"
	done
	tell "end $1"
}

tell hello
dmesg -c >/bed/log/dom0-boot.log
xl dmesg -c >/bed/log/xen-boot.log
# Guests that boot or compute do not keep dom0's services waiting.
xl sched-credit2 -d 0 -w 2048
while read -r name limit grace; do
	run_again "$name" "$limit" "$grace"
done </bed/plan
tell 'done'
