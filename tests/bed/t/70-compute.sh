# SPDX-License-Identifier: MIT
# limit: 300
# General compute through /dev/vgpufront: device memory, copies, built-in
# kernels, streams and events, quiet batches; and nothing of it is left behind
# by a program that is killed.
# shellcheck shell=sh

# What the module has counted: "requests notify_sent".
counted() {
	guest-exec -t $((30 * patience)) "$1" \
		"awk '/^(requests|notify_sent) / { printf \"%s \", \$2 }' /sys/kernel/debug/vgpufront/0/status"
}

for type in pv pvh; do
	guest_start $type $type 256 'vgpu = [ "mem=64M" ]'
	guest $type 'modprobe vgpufront'
	xs_wait 20 "$(fe $type)/state" '^4$' "$type: connected"

	TIMEOUT=120 guest $type /usr/lib/bed/compute
	relay "$type"

	# shellcheck disable=SC2046
	set -- $(counted $type)
	guest $type '/usr/lib/bed/compute batch'
	relay "$type"
	# shellcheck disable=SC2046
	set -- "$1" "$2" $(counted $type)
	say "$type: $(($3 - $1)) requests, $(($4 - $2)) notifications"
	ok "[ $(($3 - $1)) -ge 64 ] && [ $((($4 - $2) * 4)) -le $(($3 - $1)) ]" \
		"$type: a batch of 64 does not cost a notification each"

	guest_bg hold$type $type '/usr/lib/bed/compute hold'
	file_wait 20 "$TMP/job.hold$type.out" holding "$type: a program holds memory and keeps the device busy"
	guest $type 'vgpu-smi'
	see '8 MiB|8.0 MiB|8388608' "$type: vgpu-smi shows how much"
	guest $type 'killall -KILL compute'
	job_wait hold$type
	wait_for 20 "guest $type vgpu-smi && echo \"\$out\" | grep -Eq '(used|Used).* 0'" "$type: killed: nothing of it is left"
	guest $type 'vgpu-vector-add -n 1024'
	see 'Vector add PASSED: 1024 elements, 0 errors' "$type: and the device works"

	guest $type '/usr/lib/bed/example_saxpy'
	status 77 "$type: an example with PTX of its own says that this engine runs none"
	guest $type 'vgpu-bandwidth -s 64K,1M,16M'
	succeeds "$type: bandwidth of copies, verified"
	see 'cpu' "$type: and by which engine"
done
dom0 'kill -USR1 $(pidof vgpubackd)'
guest_stop pv pvh
no_leaks
