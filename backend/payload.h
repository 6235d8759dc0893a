/* SPDX-License-Identifier: MIT */
/*
 * payload.h - what does not fit a slot: blocks of a request in the arena
 *
 * Copies them into the request's own memory, once, and checks the copy; nothing
 * reads the arena again. Run by the worker's thread. Ranges are checked before
 * (request_check).
 */
#ifndef VGPU_BACKEND_PAYLOAD_H
#define VGPU_BACKEND_PAYLOAD_H

#include <stdint.h>
#include <xen/io/vgpuif.h>

#define PAYLOAD_RELOCS (VGPU_MAX_RELOCS * sizeof(struct vgpu_reloc))

/* @args: the argument blob, and behind it the relocations as the guest sent */
union payload {
	_Alignas(8) uint8_t args[VGPU_MAX_ARGS + PAYLOAD_RELOCS];
	char name[VGPU_MAX_KERNEL_NAME + 1];
	struct vgpu_sgemm sgemm;
};

/* Printable, and then ends in a NUL, or VGPU_RSP_INVALID. */
enum vgpu_status payload_name(union payload *p, const uint8_t *arena,
			      const struct vgpu_function_get_req *req);

void payload_sgemm(union payload *p, const uint8_t *arena, uint32_t offset);

void payload_args(union payload *p, const uint8_t *arena,
		  const struct vgpu_launch_req *req);

/*
 * The i-th relocation, checked but for what its handle names; *offset is where
 * in that it points to.
 */
enum vgpu_status payload_reloc(const union payload *p,
			       const struct vgpu_launch_req *req,
			       unsigned int i, struct vgpu_reloc *out,
			       uint64_t *offset);

#endif /* VGPU_BACKEND_PAYLOAD_H */
