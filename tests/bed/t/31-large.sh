# SPDX-License-Identifier: MIT
# limit: 300
# Work six times larger than the guest's grant table is streamed through it.
# shellcheck shell=sh

guest_start big pv 1152 'vgpu = [ "" ]'
guest big 'modprobe vgpufront'
xs_wait 20 "$(fe big)/state" '^4$' 'connected'
TIMEOUT=240 guest big 'vgpu-vector-add -n 67108864'
see 'Vector add PASSED: 67108864 elements, 0 errors' '64 Mi elements in a guest with the default grant table'
guest big 'cat /sys/kernel/debug/vgpufront/0/* 2>/dev/null'
