# SPDX-License-Identifier: MIT
# limit: 600
# A hostile guest, without vgpufront, attacks the backend in every way it has:
# its xenstore nodes, its requests, the shared memory, the event channel. It
# gets errors and loses its own device at worst; the daemon and another guest
# go on.
# shellcheck shell=sh

# A device that failed often has to wait: 20 of them take turns.
devices=20

guest_create evil pv 192
guest_create good pv 192 'vgpu = [ "gpu=0" ]'
guest_ready evil && guest_ready good
guest evil 'modprobe -a xen-evtchn xen-gntalloc'
TIMEOUT=60 dom0 "for i in \$(seq $devices); do vgpuctl attach evil || exit 1; done"
succeeds "$devices devices are attached to the hostile guest"
guest good 'modprobe vgpufront && vgpu-vector-add -n 1024'
see 'Vector add PASSED: 1024 elements, 0 errors' 'another guest is served'
dom0 vgpu-xenstore-check
succeeds 'xenstore obeys the schema with all of them offered'

TIMEOUT=60 guest evil 'evil_front connect'
relay connect
TIMEOUT=480 guest evil "evil_front -d 1 -n $((devices - 2)) nodes"
relay nodes
TIMEOUT=240 guest evil 'evil_front requests'
relay requests
TIMEOUT=240 guest evil 'evil_front compute'
relay compute
TIMEOUT=240 guest evil "evil_front -d $((devices - 1)) -t 2 ring"
relay ring
TIMEOUT=30 guest evil 'evil_front vanish'
relay vanish
TIMEOUT=60 guest evil 'evil_front connect'
relay 'after vanishing'

ok 'kill -0 $(daemon_pid)' 'the daemon goes on'
guest good 'vgpu-vector-add -n 1024'
see 'Vector add PASSED: 1024 elements, 0 errors' 'the other guest is still served'
ok '[ "$(grep -c "event=offered domid=$(domid good) " "$DAEMON_LOG")" = 1 ]' 'and never was interrupted'
daemon_says 5 'refused.*ring-ref is missing' 'the log says what was refused'
guest_stop evil good
wait_for 20 '[ -z "$(xenstore-list /local/domain/0/backend/vgpu 2>/dev/null)" ]' 'no backend node of a guest stays'
no_leaks
