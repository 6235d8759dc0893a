#!/bin/sh
# SPDX-License-Identifier: MIT
# `make install DESTDIR=` leaves what a packager expects: programs, library,
# pages; a program builds against it with pkg-config, and DKMS builds the module
# from the sources it installs.
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
n=0
ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$tmp/out"
	fi
}

make --no-print-directory install DESTDIR="$root" >"$tmp/out" 2>&1
ok $? 'make install DESTDIR='
lib=usr/lib/$(gcc -print-multiarch)
# Without the CUDA toolkit there is no cuda_sanity to install.
sanity=
[ ! -e build/bin/cuda_sanity ] || sanity=usr/sbin/cuda_sanity
(for f in usr/sbin/vgpubackd usr/libexec/xen-vgpu/vgpu-worker usr/sbin/vgpuctl usr/sbin/vgpu-engined $sanity \
	usr/bin/vgpu-smi usr/bin/vgpu-vector-add usr/bin/vgpu-run usr/bin/vgpu-bandwidth usr/include/vgpufront.h \
	usr/share/man/man1/vgpu-run.1 usr/share/man/man1/vgpu-bandwidth.1 usr/share/doc/xen-vgpu/examples/matmul.ptx usr/share/doc/xen-vgpu/examples/pvh.cfg \
	"$lib/libvgpufront.so.0" "$lib/libvgpufront.a" "$lib/pkgconfig/vgpufront.pc" \
	usr/share/man/man8/vgpubackd.8 usr/share/man/man1/vgpuctl.1 usr/share/man/man5/vgpu-xl.cfg.5 usr/share/man/man8/vgpu-engined.8 usr/share/man/man3/vgpu_open.3 \
	usr/lib/systemd/system/vgpubackd.service usr/lib/systemd/system/vgpu-mps.service usr/lib/systemd/system/vgpu-engined.service; do
	[ -e "$root/$f" ] || { echo "missing: $f"; missing=1; }
done; [ -z "$missing" ]) >"$tmp/out" 2>&1
ok $? 'programs, library, header, pages and units are where they belong'
grep -h '^ExecStart=' "$root"/usr/lib/systemd/system/*.service >"$tmp/out"
[ "$(grep -c '^ExecStart=/usr/sbin/vgpu' "$tmp/out")" = 2 ]
ok $? 'the units start the installed programs'
grep -rl "$root" "$root" >"$tmp/out" 2>&1
ok $((! $?)) 'no installed file names the folder it was staged in'

export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_PATH="$root/$lib/pkgconfig"
flags=$(pkg-config --cflags --libs vgpufront 2>"$tmp/out")
for e in "$root"/usr/share/doc/xen-vgpu/examples/*.c; do
	# shellcheck disable=SC2086 # flags are words
	gcc -Wall -Werror -o "$tmp/example" "$e" $flags -lm >"$tmp/out" 2>&1
	ok $? "$(basename "$e") builds with pkg-config's flags"
done
g++ -fsyntax-only -x c++ "$root/usr/include/vgpufront.h" >"$tmp/out" 2>&1
ok $? 'the header is good C++ too'

kver=$(tests/bed/kver)
version=$(basename "$root"/usr/src/xen-vgpu-* | sed 's/^xen-vgpu-//')
mkdir "$tmp/dkms"
dkms="--dkmstree $tmp/dkms --sourcetree $root/usr/src -k $kver"
# shellcheck disable=SC2086
{ dkms add $dkms -m xen-vgpu -v "$version" && dkms build $dkms -m xen-vgpu -v "$version"; } >"$tmp/out" 2>&1
[ -n "$(find "$tmp/dkms" -name 'vgpufront.ko*')" ]
ok $? "dkms builds the module for $kver"
echo "1..$n"
