# SPDX-License-Identifier: MIT
# Vector adds of two Xen guests, PV and PVH, computed by the backend in dom0
# limit: 540
# shellcheck shell=sh

say 'above: vgpubackd starts in dom0, its engines pass or fail the sanity gate'
is "$(grep -c 'event=offer ' "$DAEMON_LOG")" 1 'the backend passed its gate and offers an engine'

for type in pv pvh; do
	g=demo-$type
	if [ $type = pv ]; then
		say 'a PV guest whose config has a vgpu line: vgpuctl runs xl create and attaches'
		guest_start $g pv 256 'vgpu = [ "gpu=0,mem=256M" ]' || continue
		dom0 "cat $TMP/$g.cfg"
	else
		say 'a PVH guest by plain xl create, which ignores the line: hot-plugged afterwards'
		CREATE=xl guest_start $g pvh 256 'vgpu = [ "gpu=0,mem=256M" ]' || continue
		dom0 "vgpuctl attach $g gpu=0,mem=256M"
	fi
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
