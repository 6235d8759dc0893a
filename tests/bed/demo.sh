# SPDX-License-Identifier: MIT
# Vector adds of two Xen guests, PV and PVH, computed by the backend in dom0
# limit: 140
# shellcheck shell=sh

say 'above: vgpubackd starts in dom0, its engines pass or fail the sanity gate'
is "$(grep -c 'event=offer ' "$DAEMON_LOG")" 1 'the backend passed its gate and offers an engine'

for type in pv pvh; do
	g=demo-$type
	say "a $type guest whose config has a vgpu line"
	guest_start "$g" $type 256 'vgpu = [ "gpu=0,mem=1G" ]' || continue
	dom0 "cat $TMP/$g.cfg"
	guest "$g" 'modprobe vgpufront && ls -l /dev/vgpufront'
	succeeds "$type: vgpufront.ko loads, /dev/vgpufront is there"
	xs_wait 20 "$(fe "$g")/state" '^4$' "$type: frontend and backend are connected"
	guest "$g" 'vgpu-smi'
	succeeds "$type: vgpu-smi prints the device"
	for n in 1024 1048576; do
		for run in 1 2 3; do
			guest "$g" "vgpu-vector-add -n $n"
			see "^Vector add PASSED: $n elements, 0 errors \(.+ on .+\)" \
				"$type: $n floats added, every bit checked in the guest (run $run)"
		done
	done
	say "the device's xenstore tree, connected"
	dom0 "xenstore-ls -fp $(be "$g"); xenstore-ls -fp $(fe "$g")"
	dom0 'vgpuctl list'
	guest_stop "$g"
done
say 'both guests are gone: what did they leave in dom0?'
