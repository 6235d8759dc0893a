# SPDX-License-Identifier: MIT
# limit: 120
# Administrators' mistakes: a second daemon, an engine that is not there, wrong
# options, wrong device lines. Each is refused in one line that says what.
# shellcheck shell=sh

dom0 'vgpubackd --help'
succeeds '--help'
see '--engine' '--help names the options'
dom0 'vgpubackd --version'
see '[0-9]+\.[0-9]+' '--version'
dom0 'vgpubackd --bogus'
status 2 'an unknown option is a usage error'
dom0 'vgpubackd'
fails 'a second daemon refuses to start'
see 'already|another' 'and says why'
daemon_says 1 'event=gate.*engine=cuda.*result=failed' 'the log says that the cuda gate failed'
daemon_says 1 'event=gate.*engine=cpu.*result=passed' 'and that the cpu gate passed'

daemon_stop
dom0 'vgpubackd --engine cuda'
fails 'with --engine cuda and no GPU the daemon refuses to start'
see 'libcuda|without the CUDA toolkit' 'naming what is missing'
# There is none where it was built without the CUDA toolkit.
if command -v cuda_sanity >/dev/null; then
	dom0 'cuda_sanity'
	fails 'cuda_sanity fails here'
	see 'FAILED.*libcuda' 'and says at which step'
fi
daemon_start

guest_start g pv 128
dom0 'vgpuctl attach nobody'
fails 'attach to a domain that is not there'
see 'nobody' 'names it'
dom0 'vgpuctl attach g mem=4X'
fails 'a bad quota'
see 'mem.*4X' 'names key and value'
dom0 'vgpuctl attach g colour=red'
see 'colour' 'names an unknown key'
dom0 'vgpuctl detach g'
fails 'detach of a device that is not there'
guest g vgpu-smi
fails 'vgpu-smi without the module'
see 'modprobe' 'says what to do'
guest g 'modprobe vgpufront; vgpu-smi'
fails 'vgpu-smi without a device'
see 'vgpuctl attach' 'says what to do'
is "$(xenstore-list /local/domain/0/backend/vgpu 2>/dev/null)" '' 'none of this left a node'

cat >"$TMP/bad.cfg" <<-EOF
	name = "half"
	type = "pv"
	memory = 128
	kernel = "/boot/vmlinux"
	vgpu = [ "gpu=0,weight=0" ]
EOF
dom0 "vgpuctl create $TMP/bad.cfg"
fails 'create with a bad device line'
see 'weight' 'names the key'
dom0 'xl list half'
fails 'and made no domain'
