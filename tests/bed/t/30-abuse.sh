# SPDX-License-Identifier: MIT
# limit: 300
# A hostile or careless program in the guest against /dev/vgpufront: wrong
# ioctls, pointers, handles, ranges, sudden death. Every case has an errno, and
# everything is reclaimed on both sides.
# shellcheck shell=sh

for type in pv pvh; do
	guest_start $type $type 256 'vgpu = [ "" ]'
	guest $type 'modprobe vgpufront'
	xs_wait 20 "$(fe $type)/state" '^4$' "$type: connected"
	idle=$(idle_grants $type)
	TIMEOUT=120 guest $type /usr/lib/bed/lib_abuse
	relay "$type"
	is "$(idle_grants $type)" "$idle" "$type: as many grants are mapped as before"
	guest $type 'vgpu-vector-add -n 1024'
	see 'Vector add PASSED: 1024 elements, 0 errors' "$type: and the device works"
	guest $type 'echo vgpu-0 >/sys/bus/xen/drivers/vgpufront/unbind && rmmod vgpufront'
	succeeds "$type: the module can be unloaded: nothing holds it"
done
