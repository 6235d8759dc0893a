# SPDX-License-Identifier: MIT
# limit: 240
# The main job, on a PV and a PVH guest: the device is negotiated, programs add
# vectors of their own memory and check every bit, alone and side by side.
# shellcheck shell=sh

for type in pv pvh; do
	g=$type
	guest_start $g $type 256 'vgpu = [ "gpu=0,mem=256M" ]'
	guest $g 'modprobe vgpufront'
	succeeds "$type: the module loads"
	xs_wait 20 "$(fe $g)/state" '^4$' "$type: the frontend is connected"
	xs_wait 5 "$(be $g)/state" '^4$' "$type: the backend is connected"
	guest $g 'ls -l /dev/vgpufront'
	see '^c' "$type: /dev/vgpufront appears"
	dom0 vgpu-xenstore-check
	succeeds "$type: the live xenstore tree obeys the schema"

	guest $g vgpu-smi
	succeeds "$type: vgpu-smi finds the device"
	see 'cpu' "$type: vgpu-smi names the engine"
	see 'not a GPU' "$type: vgpu-smi says that the cpu engine is no GPU"

	for n in 0 1 3 1024 65537 1048576; do
		guest $g "vgpu-vector-add -n $n"
		succeeds "$type: adding $n elements"
		see "^Vector add PASSED: $n elements, 0 errors \\(cpu on .+\\)\$" "$type: $n elements, and says by what"
	done
	guest $g 'vgpu-vector-add -n 1024 -r 200'
	see 'PASSED' "$type: two hundred times"

	for i in 1 2 3 4; do
		guest_bg $g$i $g "vgpu-vector-add -n $((i * 40000 + 1)) -r 10 --seed $i"
	done
	for i in 1 2 3 4; do
		job_wait $g$i
		see 'Vector add PASSED' "$type: process $i of four at once"
	done
	for how in '-t 4 -n 50000 -r 3' '-a -t 3 -n 300001' '-b -n 100003' '-b -a -t 2 -n 4097'; do
		guest $g "vgpu-vector-add $how"
		see 'Vector add PASSED' "$type: threads, streams, shared buffers ($how)"
		unseen 'FAILED' "$type: all of them ($how)"
	done
	guest $g example_vector_add
	see '^1023 \+ 0.5 = 1023.5$' "$type: the shortest program, with the shared library"
	guest $g example_async_poll
	see '^out\[524287\] = 131070$' "$type: eight additions in flight, and poll()"
	guest $g 'cat /sys/kernel/debug/vgpufront/0/* 2>/dev/null'
	see 'notif' "$type: debugfs shows the ring"
	dom0 'vgpuctl list'
	see "$g" "$type: vgpuctl lists it"
	see 'Connected' "$type: with its state"
done

guest_stop pv pvh
wait_for 10 '[ -z "$(xenstore-list /local/domain/0/backend/vgpu 2>/dev/null)" ]' 'no backend node stays when the guests are gone'
no_leaks
