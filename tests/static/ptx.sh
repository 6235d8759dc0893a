#!/bin/sh
# SPDX-License-Identifier: MIT
# The examples' PTX: that of a .cu is what nvcc makes of it, and the assembler
# takes all of it, for the oldest GPU that may run it and for Hopper. Without the
# toolkit there is nothing to compare with.
cd "$(dirname "$0")/../.." || exit 1
cuda=${CUDA_HOME:-/usr/local/cuda}
if [ ! -x "$cuda/bin/nvcc" ] || [ ! -x "$cuda/bin/ptxas" ]; then
	echo '1..0 # SKIP no CUDA toolkit'
	exit
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
ok() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		head -n 40 "$tmp/out" | sed 's/^/# /'
	fi
}

# version FILE: of the compiler that wrote it
version() {
	sed -n 's|^// Cuda compilation tools, ||p' "$1"
}

make --no-print-directory examples-ptx CUDA_HOME="$cuda" PTX_DIR="$tmp" >"$tmp/out" 2>&1
ok $? 'make examples-ptx'
for cu in libvgpufront/examples/*.cu; do
	name=$(basename "$cu" .cu)
	ptx=${cu%.cu}.ptx
	if [ "$(version "$ptx")" = "$(version "$tmp/$name.ptx")" ]; then
		diff "$ptx" "$tmp/$name.ptx" >"$tmp/out" 2>&1
		ok $? "$name.ptx is what nvcc makes of $name.cu"
	else
		ok 0 "$name.ptx is of another nvcc # SKIP"
	fi
done
for ptx in libvgpufront/examples/*.ptx; do
	for arch in sm_75 sm_90; do
		"$cuda/bin/ptxas" -arch $arch -o "$tmp/cubin" "$ptx" >"$tmp/out" 2>&1
		ok $? "$(basename "$ptx") assembles for $arch"
	done
done
echo "1..$n"
