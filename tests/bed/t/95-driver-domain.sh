# SPDX-License-Identifier: MIT
# limit: 420
# The backend in a driver domain, which serves PV and PVH guests
# It is a PV guest with driver_domain=1 that runs vgpubackd, and at the end a PVH
# one. What comes and goes leaves nothing in it; when it dies itself, its guests
# get errors and another backend.
# shellcheck shell=sh

dd_log=$TMP/job.ddd.out

# dd_daemon: vgpubackd in the driver domain; returns when it offers
dd_daemon() {
	TIMEOUT=400 guest_bg ddd dd 'exec vgpubackd'
	file_wait 30 "$dd_log" 'event=offer ' 'vgpubackd starts in the driver domain'
}

# dd_start pv|pvh: the driver domain; $dd is its domain id
dd_start() {
	guest_start dd "$1" 192 'driver_domain = 1' || return
	dd=$(domid dd)
	guest dd 'modprobe -a xen-evtchn xen-gntdev'
	dd_daemon
}

# dd_state: what must be the same there before and after, one item a line
dd_state() {
	lsevtchn "$dd" | sed -E 's/^.*VCPU [0-9]+: *//; s/ \(.*//' | sort | uniq -c
	echo "backend nodes: $(xenstore-ls "/local/domain/$dd/backend/vgpu" 2>/dev/null | tr '\n' ' ')"
	guest-exec -t $((30 * patience)) dd 'p=$(pidof vgpubackd)
		echo "workers: $(pidof vgpu-worker | wc -w)"
		echo "open files: $(ls /proc/$p/fd | wc -l)"'
}

# dd_clean WHAT: nothing is left there
dd_clean() {
	wait_for 10 'dd_state >"$TMP/dd.now"; cmp -s "$TMP/dd.state" "$TMP/dd.now"' "$1" ||
		diff "$TMP/dd.state" "$TMP/dd.now"
}

# connected GUEST WHAT
connected() {
	xs_wait 30 "$(fe "$1")/state" '^4$' "$2"
	xs_wait 10 "$(be "$1" 0 "$dd")/state" '^4$' "$2: the backend's end, in domain $dd"
}

works() {
	guest "$1" 'vgpu-vector-add -n 5000'
	see 'Vector add PASSED: 5000 elements, 0 errors' "$2"
}

requests() {
	guest-exec -t $((20 * patience)) "$1" "awk '\$1 == \"responses\" { print \$2 }' /sys/kernel/debug/vgpufront/0/status" 2>/dev/null
}

# busy JOB GUEST: a program works without end; returns when it does
busy() {
	TIMEOUT=120 guest_bg "$1" "$2" 'vgpu-vector-add -n 200000 -r 4000000000 >/tmp/busy 2>&1; s=$?; tail -n 3 /tmp/busy; exit $s'
	before=$(requests "$2")
	wait_for 20 "[ \"\$(requests $2)\" -gt $((before + 5)) ]" "$1: work is in flight"
}

# lost JOB WHAT: the busy program ended, with an error that says so
lost() {
	job_wait "$1"
	is "$rc" 1 "$2: the busy program ends with an error"
	see 'device lost' "$2: and says that the device is lost"
	unseen 'FAILED:.*mismatch' "$2: and no wrong result"
}

dd_start pv || exit
leak_baseline dd
dd_state >"$TMP/dd.state"
cat "$TMP/dd.state"

for type in pv pvh; do
	g=$type
	guest_start $g $type 192 "vgpu = [ \"backend=dd,mem=64M\" ]" || exit
	guest $g 'modprobe vgpufront'
	connected $g "$type: connected"
	is "$(xenstore-read "$(fe $g)/backend-id")" "$dd" "$type: backend-id is the driver domain's"
	dom0 'pidof vgpu-worker'
	fails "$type: no worker in dom0"
	dom0 vgpu-xenstore-check
	succeeds "$type: the live xenstore tree obeys the schema"
	dom0 'vgpuctl list'
	see "^ *$(domid $g) $g +0 +$dd +Connected +Connected +cpu" "$type: vgpuctl list shows who serves it"
	guest $g vgpu-smi
	see "Backend.* domain $dd, " "$type: and so does vgpu-smi in the guest"

	for n in 1 1024 1048576; do
		guest $g "vgpu-vector-add -n $n"
		see "^Vector add PASSED: $n elements, 0 errors" "$type: $n elements"
	done
	TIMEOUT=120 guest $g compute
	relay $g
	for i in 1 2 3; do
		guest_bg $g$i $g "vgpu-vector-add -n $((i * 40000 + 1)) -r 5 --seed $i"
	done
	for i in 1 2 3; do
		job_wait $g$i
		is "$(echo "$out" | grep -c ' 0 errors ')" 5 "$type: process $i of three at once"
	done
done

for i in 1 2; do
	for g in pv pvh; do
		guest_bg both$g$i $g "vgpu-vector-add -n 100003 -r 4 --seed $i"
	done
done
for i in 1 2; do
	for g in pv pvh; do
		job_wait both$g$i
		is "$(echo "$out" | grep -c ' 0 errors ')" 4 "$g beside the other guest, process $i"
	done
done

say 'detach and attach while busy'
busy detach pv
dom0 'vgpuctl detach pv'
succeeds 'detach while busy'
lost detach 'detached'
xs_gone 10 "$(be pv 0 "$dd")" 'no backend node'
xs_gone 10 "$(fe pv)" 'no frontend node'
works pvh 'the other guest works meanwhile'
dom0 'vgpuctl attach pv backend=dd'
succeeds 'attach to the running guest'
connected pv 'connected after hot-plug'
works pv 'works after hot-plug'

say 'the driver domain'"'"'s vgpubackd is stopped and started'
busy daemon pv
guest dd 'kill $(pidof vgpubackd)'
job_wait ddd
succeeds 'vgpubackd ends with 0 on SIGTERM'
lost daemon 'daemon stopped'
dd_daemon
for g in pv pvh; do
	connected $g "$g: connected to the new daemon"
	works $g "$g: works with the new daemon"
done

say 'a guest is destroyed while busy'
busy destroy pv
id=$(domid pv)
guest_stop pv
job_wait destroy
wait_for 10 "! xl list | grep -q -e 'pv ' -e '(null)'" 'destroyed while busy, and no zombie'
xs_gone 10 "/local/domain/$dd/backend/vgpu/$id" 'its directory in the driver domain goes'
works pvh 'the other guest works'

say 'and one while no vgpubackd is there to see it'
id=$(domid pvh)
guest dd 'kill -KILL $(pidof vgpubackd)'
job_wait ddd
guest dd 'while pidof vgpu-worker; do sleep 0.1; done'
succeeds 'no worker survives its daemon'
guest_stop pvh
dd_daemon
xs_gone 10 "/local/domain/$dd/backend/vgpu/$id" 'its directory goes with the next vgpubackd'
no_leaks 'nothing is left in dom0'
dd_clean 'nothing is left in the driver domain'

say 'a PVH driver domain, which dies under a busy guest'
guest_stop dd
job_wait ddd
dd_start pvh || exit
guest_start pv pv 192 'vgpu = [ "backend=dd" ]' || exit
guest pv 'modprobe vgpufront'
connected pv 'a PV guest is served by a PVH driver domain'
guest pv 'vgpu-vector-add -n 1048576'
see 'Vector add PASSED: 1048576 elements, 0 errors' 'and its results are right'
guest pv 'vgpu-vector-add -b -a -t 2 -n 300001'
see 'Vector add PASSED: 300001 elements, 0 errors' 'on shared buffers, too'
busy dies pv
guest_stop dd
job_wait ddd
lost dies 'driver domain destroyed'
wait_for 20 "! xl list | grep -q -e 'dd ' -e '(null)'" 'the driver domain is no zombie'
guest pv 'vgpu-vector-add -n 10'
fails 'a new program fails, and does not hang'
guest pv 'cat /proc/uptime'
succeeds 'the guest is alive'
is "$(grants_mapped pv)" 2 'nobody has its pages mapped any more'
dom0 'vgpuctl list'
see "^ *$(domid pv) pv +0 " 'vgpuctl list still shows the device'
dom0 'vgpuctl detach pv'
succeeds 'the device can be detached'
dom0 'vgpuctl attach pv'
succeeds 'and another be attached, of dom0'
xs_wait 20 "$(be pv)/state" '^4$' 'dom0 serves the guest'
xs_wait 20 "$(fe pv)/state" '^4$' 'and the guest is connected'
works pv 'the guest works with dom0'
guest pv 'echo vgpu-0 >/sys/bus/xen/drivers/vgpufront/unbind && rmmod vgpufront'
succeeds 'its module can be unloaded: nothing holds it'
guest_stop pv
