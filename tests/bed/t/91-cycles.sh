# SPDX-License-Identifier: MIT
# limit: 300
# Guests come and go, 20 of them, ten times as many in `make soak`
# Each is created, uses its device with two programs, and is destroyed, every
# other one while it works. Another guest works all the time. Nothing may be left
# of them: no grant, event channel, node, process, open file or memory, in dom0,
# in Xen, or as the other guest sees it.
# shellcheck shell=sh

cycles=$((20 * $(cat /bed/times)))

# everything: what all of the bed has, but for what one guest's number names
everything() {
	bed_state
	echo "processes: $(ps -o comm | grep -vE '^\[|sh$|ps$|sort|uniq|guest-exec|confine|sleep' | sort | uniq -c | tr -s ' \n' ' ')"
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

# one N: a cycle, of a PV guest; every fifth one is PVH
one() {
	type=pv
	[ $(($1 % 5)) != 4 ] || type=pvh
	guest_start c $type 128 'vgpu = [ "mem=16M" ]' || return
	guest c 'modprobe vgpufront && vgpu-vector-add -n 1024 && vgpu-vector-add -a -t 2 -n 60001'
	echo "$out" | grep -q 'PASSED: 1024 elements, 0 errors' &&
		echo "$out" | grep -q 'PASSED: 60001 elements, 0 errors' || return
	if [ $(($1 % 2)) = 1 ]; then
		guest_bg c$1 c 'load -p 2 -n 20000'
		wait_for 20 "job_out c$1 | grep -q busy" "guest $1 is at work" || return
	fi
	guest_stop c
	[ $(($1 % 2)) = 0 ] || job_wait c$1
	return 0
}

guest_start other pv 128 'vgpu = [ "mem=64M" ]' || exit
guest other 'modprobe vgpufront'
xs_wait 20 "$(fe other)/state" '^4$' 'another guest is connected'
TIMEOUT=$((cycles * 20)) guest_bg other other 'while [ ! -e /tmp/stop ]; do
	vgpu-vector-add -n 5000 -r 5 || exit
	usleep 300000
done'
# The first ones of a kind leave what is made once.
one 1 && one 4
wait_for 10 '[ "$(bed_state | grep workers:)" = "workers: 1" ]' 'the first two guests have left'
leak_baseline
everything >"$TMP/before"
cat "$TMP/before"

i=0 good=0
began=$(cut -d. -f1 /proc/uptime)
while [ $i -lt $cycles ]; do
	one $i && good=$((good + 1))
	i=$((i + 1))
done
took=$(($(cut -d. -f1 /proc/uptime) - began))
say "$cycles guests in $took s"
is "$good" "$cycles" "$cycles guests were created, worked and were destroyed"
no_leaks "nothing is left of them in dom0"
wait_for 10 'everything >"$TMP/after"; cmp -s "$TMP/before" "$TMP/after"' \
	'nothing is left of them in Xen, xenstore and the other guest'
diff "$TMP/before" "$TMP/after"
guest other 'touch /tmp/stop'
job_wait other
succeeds 'the other guest worked all the time'
is "$(echo "$out" | grep -vcE '^Vector add PASSED: 5000 elements, 0 errors')" 0 'and all its sums are right'
ok '[ "$(grep -c "event=offered domid=$(domid other) " "$DAEMON_LOG")" = 1 ]' 'and never lost its device'
