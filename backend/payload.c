// SPDX-License-Identifier: MIT
/*
 * payload.c - copies blocks out of the arena and checks them (see payload.h)
 */
#include "payload.h"

#include <string.h>

/* The guest may write there meanwhile: whatever comes, it is read once. */
static void copy(void *to, const uint8_t *arena, uint32_t offset, size_t len)
{
	memcpy(to, arena + offset, len);
	/* The compiler must not read the arena instead of the copy. */
	__asm__ volatile("" : : "r"(to) : "memory");
}

enum vgpu_status payload_name(union payload *p, const uint8_t *arena,
			      const struct vgpu_function_get_req *req)
{
	copy(p->name, arena, req->name_offset, req->name_len);
	p->name[req->name_len] = '\0';
	for (uint32_t i = 0; i < req->name_len; i++)
		if (p->name[i] < ' ' || p->name[i] > '~')
			return VGPU_RSP_INVALID;
	return VGPU_RSP_OK;
}

void payload_sgemm(union payload *p, const uint8_t *arena, uint32_t offset)
{
	copy(&p->sgemm, arena, offset, sizeof(p->sgemm));
}

static uint32_t relocs_at(const struct vgpu_launch_req *req)
{
	return (req->args_len + 7u) / 8 * 8;
}

void payload_args(union payload *p, const uint8_t *arena,
		  const struct vgpu_launch_req *req)
{
	size_t len = req->args_len;

	if (req->nr_relocs)
		len = relocs_at(req) +
		      req->nr_relocs * sizeof(struct vgpu_reloc);
	copy(p->args, arena, req->args_offset, len);
}

enum vgpu_status payload_reloc(const union payload *p,
			       const struct vgpu_launch_req *req,
			       unsigned int i, struct vgpu_reloc *out,
			       uint64_t *offset)
{
	memcpy(out, p->args + relocs_at(req) + i * sizeof(*out), sizeof(*out));
	if (out->reserved0 || out->at % 8 || out->at + 8u > req->args_len)
		return VGPU_RSP_INVALID;
	memcpy(offset, p->args + out->at, sizeof(*offset));
	return VGPU_RSP_OK;
}
