# SPDX-License-Identifier: MIT
# limit: 150
# The same in an HVM guest, with its firmware and device model: it adds, loses its
# device, gets it back, is saved and restored, and leaves nothing behind.
# shellcheck shell=sh

. /bed/lib/xl.sh

guest_start h hvm 192 'vgpu = [ "gpu=0,mem=64M" ]'
guest h 'cat /sys/hypervisor/guest_type; ls /sys/bus/pci/drivers/xen-platform-pci'
see '^HVM$' 'the kernel says that it is an HVM guest'
see '^[0-9a-f]+:[0-9a-f]+:' 'with the Xen platform device, which its grants are from'
works h 'an HVM guest'
idle=$(idle_grants h)
for how in '-n 65537' '-n 1024 -r 200' '-t 4 -n 50000 -r 3' '-b -a -t 2 -n 4097'; do
	guest h "vgpu-vector-add $how"
	see 'Vector add PASSED' "it adds ($how)"
	unseen 'FAILED' "without a wrong result ($how)"
done

guest h 'echo vgpu-0 >/sys/bus/xen/drivers/vgpufront/unbind && rmmod vgpufront'
succeeds 'the module is unloaded'
works h 'loaded again'

busy h
fe=$(fe h) be=$(be h)
dom0 'vgpuctl detach h'
succeeds 'detach while busy'
told h 'detached'
xs_gone 10 "$be" 'detached: no backend node'
xs_gone 10 "$fe" 'detached: no frontend node'
dom0 'vgpuctl attach h mem=64M'
succeeds 'attach to the running guest'
works h 'attached again'

busy h
TIMEOUT=100 dom0 "xl save h $TMP/save"
succeeds 'xl save'
TIMEOUT=100 dom0 "xl restore $TMP/save"
succeeds 'xl restore'
told h 'restored'
works h 'restored'
kept h 'restored'
tree 'restored'
rm "$TMP/save"

guest_stop h
no_leaks 'xl destroy leaves nothing behind'
