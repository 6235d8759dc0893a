/* SPDX-License-Identifier: MIT */
/*
 * wire.h - the numbers that engines share with the wire protocol
 *
 * Engines take enum vgpu_status and enum vgpu_kernel from vgpuif.h and nothing
 * else; they build without Xen's headers.
 */
#ifndef VGPU_CUDA_WIRE_H
#define VGPU_CUDA_WIRE_H

#define VGPUIF_NO_RING
#include <xen/io/vgpuif.h>

#endif /* VGPU_CUDA_WIRE_H */
