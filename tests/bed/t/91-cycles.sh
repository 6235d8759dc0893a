# SPDX-License-Identifier: MIT
# limit: 300
# Guests come and go, 20 of them, ten times as many in `make soak`
# Two at a time are created, use their devices with several programs, and are
# destroyed, one of them while it works. Another guest works all the time. Nothing
# may be left of them: no grant, event channel, node, process, open file or memory,
# in dom0, in Xen, or as the other guest sees it.
# shellcheck shell=sh

cycles=$((20 * $(cat /bed/times)))

# everything: what all of the bed has, but for what one guest's number names
everything() {
	bed_state
	echo "processes: $(ps -o args | grep -oE '^[a-z/0-9.-]*(xen|vgpu|xl)[a-z0-9-]*' | sort | uniq -c | tr -s ' \n' ' ')"
	for p in xenstored xenconsoled; do
		echo "$p open files: $(find "/proc/$(pidof $p)/fd" -mindepth 1 | wc -l)"
	done
	echo "lines remembered: $(cat /var/lib/xen-vgpu/devices 2>/dev/null | wc -l)"
	echo "xenstore nodes: $(xenstore-ls -f / | wc -l)"
	echo "pages mapped of the other guest: $(grants_mapped other)"
	lsevtchn "$(domid other)" | sed -E 's/^.*VCPU [0-9]+: *//; s/[0-9 ]*\(.*//; s/ [0-9].*//' | sort | uniq -c |
		sed 's/^/other event channels:/'
	echo "MiB of Xen's free: $(xl info free_memory)"
}

# pair N: two guests come and go, PV; every fifth time one of them is PVH
pair() {
	type=pv
	[ $(($1 % 5)) != 0 ] || type=pvh
	guest_create idle pv 128 'vgpu = [ "mem=16M" ]' && guest_start busy $type 128 'vgpu = [ "mem=16M" ]' &&
		guest_ready idle || return
	guest_bg busy$1 busy 'modprobe vgpufront && vgpu-vector-add -a -t 2 -n 60001 && load -p 2 -n 20000'
	guest idle 'modprobe vgpufront && vgpu-vector-add -n 1024 && vgpu-vector-add -b -n 60001'
	echo "$out" | grep -q 'PASSED: 1024 elements, 0 errors' &&
		echo "$out" | grep -q 'PASSED: 60001 elements, 0 errors' || return
	until job_out busy$1 | grep -q busy; do
		kill -0 "$(eval "echo \$job_busy$1")" || return
		usleep 50000
	done
	guest_stop idle
	dom0 'xl destroy busy' || return
	job_wait busy$1
	echo "$out" | grep -q 'PASSED: 60001 elements, 0 errors'
}

# cycle N: pair N, once more where QEMU lost the PVH guest while it worked (README.md)
cycle() {
	pair "$1" && return
	expect_death || return
	say "QEMU lost a guest to a triple fault: once more"
	xl destroy idle
	[ -z "$(eval "echo \${job_busy$1-}")" ] || job_wait "busy$1"
	pair "$1"
}

guest_start other pv 128 'vgpu = [ "mem=64M" ]' || exit
guest other 'modprobe vgpufront'
xs_wait 20 "$(fe other)/state" '^4$' 'another guest is connected'
# The first ones of a kind leave what is made once.
cycle 0
wait_for 10 '[ "$(bed_state | grep workers:)" = "workers: 1" ] && [ "$(xl list | wc -l)" = 3 ] &&
	[ "$(pidof xl | wc -w)" = 1 ]' 'the first two guests have left'
: >"$TMP/before"
wait_for 10 'mv "$TMP/before" "$TMP/before.1"; everything >"$TMP/before"; cmp -s "$TMP/before.1" "$TMP/before"' \
	'and nothing changes any more'
cat "$TMP/before"
leak_baseline other

TIMEOUT=$((cycles * 20)) guest_bg other other 'while [ ! -e /tmp/stop ]; do
	vgpu-vector-add -n 5000 -r 5 || exit
	usleep 300000
done'
i=1 good=0
began=$(cut -d. -f1 /proc/uptime)
while [ $((2 * i)) -le $cycles ]; do
	cycle $i && good=$((good + 2))
	i=$((i + 1))
done
took=$(($(cut -d. -f1 /proc/uptime) - began))
say "$good guests in $took s"
is "$good" "$cycles" "$cycles guests were created, worked and were destroyed"
guest other 'touch /tmp/stop'
job_wait other
succeeds 'the other guest worked all the time'
is "$(echo "$out" | grep -vcE '^Vector add PASSED: 5000 elements, 0 errors')" 0 'and all its sums are right'
ok '[ "$(grep -c "event=offered domid=$(domid other) " "$DAEMON_LOG")" = 1 ]' 'and it never lost its device'
no_leaks "nothing is left of them in dom0"
wait_for 10 'everything >"$TMP/after"; cmp -s "$TMP/before" "$TMP/after"' \
	'nothing is left of them in Xen, xenstore and the other guest'
diff "$TMP/before" "$TMP/after"
guest_stop other
