/* SPDX-License-Identifier: MIT */
/*
 * validate.h - the rules of <xen/io/vgpuif.h> for requests
 *
 * Pure functions of private copies: no Xen, no engine, no state. Whatever they
 * let through, the session and the engine may use without a further check.
 */
#ifndef VGPU_BACKEND_VALIDATE_H
#define VGPU_BACKEND_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "buffer.h"
#include "object.h"

/*
 * What requests of this device are held to.
 *
 * @arena_len: octets
 * @max_buffers: largest handle of a buffer
 * @kernels: bits of enum vgpu_kernel that the guest may ask for
 * @modules: the engine runs the guest's own code
 */
struct rules {
	uint32_t arena_len;
	uint32_t max_buffers;
	uint32_t kernels;
	bool modules;
};

/*
 * What a handle names: a guest buffer or device memory, or, where both are
 * NULL, nothing.
 */
struct target {
	struct buffer *buf;
	struct object *mem;
};

/* Checks all of a request that depends on nothing but itself and the rules. */
enum vgpu_status request_check(const struct vgpu_request *req,
			       const struct rules *rules);

/*
 * Checks the range of bytes at offset against what it lies in and resolves it;
 * its count is bytes.
 *
 * @align: of its first octet: a power of two
 * @output: it is written to
 */
enum vgpu_status range_check(const struct target *t, uint64_t offset,
			     uint64_t bytes, uint32_t align, bool output,
			     struct vgpu_engine_operand *out);

/* An operand of a built-in kernel; its count is elements. */
enum vgpu_status operand_check(const struct vgpu_operand *opnd,
			       const struct target *t, bool output,
			       struct vgpu_engine_operand *out);

/* A kernel's parameter block, and that the operands hold what it spans. */
enum vgpu_status sgemm_check(const struct vgpu_sgemm *p,
			     const struct vgpu_operand operand[3]);

/* How many operands this kernel has; does it write to its operand i? */
unsigned int kernel_operands(uint16_t kernel);
bool kernel_writes(uint16_t kernel, unsigned int i);

#endif /* VGPU_BACKEND_VALIDATE_H */
