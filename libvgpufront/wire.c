// SPDX-License-Identifier: MIT
/*
 * wire.c - the numbers and texts that the library takes from the wire protocol
 *
 * The only file that includes <xen/io/vgpuif.h>, whose names are not the
 * library's, and of it only what needs no header of Xen.
 */
#include <errno.h>
#include <stddef.h>

#define VGPUIF_NO_RING
#include <xen/io/vgpuif.h>

extern const uint16_t wire_kernel_vector_add, wire_kernel_saxpy,
	wire_kernel_sgemm, wire_kernel_reduce_sum;
const char *wire_text(int err);

const uint16_t wire_kernel_vector_add = VGPU_KERNEL_VECTOR_ADD;
const uint16_t wire_kernel_saxpy = VGPU_KERNEL_SAXPY;
const uint16_t wire_kernel_sgemm = VGPU_KERNEL_SGEMM;
const uint16_t wire_kernel_reduce_sum = VGPU_KERNEL_REDUCE_SUM;

/* The text of a status by the errno that stands for it; NULL: none does. */
const char *wire_text(int err)
{
	switch (err) {
#define STATUS_TEXT(name, code, error, text)                                   \
	case error:                                                            \
		return text;
		VGPU_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
	default:
		return NULL;
	}
}
