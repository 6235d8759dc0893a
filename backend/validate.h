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

/*
 * Checks all of a request that depends on nothing but itself, the limits, the
 * size of the arena in octets, and the kernels that this guest may ask for
 * (bits of enum vgpu_kernel).
 */
enum vgpu_status request_check(const struct vgpu_request *req,
			       uint32_t arena_len, uint32_t kernels);

/*
 * Checks an operand against its buffer (NULL: there is none) and resolves it.
 * @output: the kernel writes to it
 */
enum vgpu_status operand_check(const struct vgpu_operand *opnd,
			       const struct buffer *buf, bool output,
			       struct vgpu_engine_operand *out);

/* Does this kernel write to its operand i? */
bool kernel_writes(uint16_t kernel, unsigned int i);

#endif /* VGPU_BACKEND_VALIDATE_H */
