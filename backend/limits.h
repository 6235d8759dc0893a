/* SPDX-License-Identifier: MIT */
/*
 * limits.h - what this backend carries out, and how much of it
 *
 * The supervisor publishes it (max-* nodes, ops, builtins), the worker holds
 * guests to it: both from here, so that they cannot differ.
 */
#ifndef VGPU_BACKEND_LIMITS_H
#define VGPU_BACKEND_LIMITS_H

#include <errno.h>
#include <xen/io/vgpuif.h>

#define BACK_MAX_BUFFERS 1024
#define BACK_MAX_BUFFER_PAGES 65536
#define BACK_MAX_STREAMS 256

/*
 * Pages that one device may have mapped in all its buffers (--max-mapped-pages).
 * A guest can name one grant in any number of buffers, so the guest's own grant
 * table is no bound on what it makes Xen and the kernel track: by default Xen
 * tracks 262,144 mappings of a domain, and a PV backend domain needs two a page.
 * A guest with the default grant table has 32,768 pages to grant.
 */
#define BACK_MAPPED_PAGES 65536
#define BACK_MAX_MAPPED_PAGES 16777216

/* Longest time that a worker looks for work before it sleeps (--poll-us). */
#define BACK_POLL_US 50
#define BACK_MAX_POLL_US 1000000

#define BACK_OPS                                                               \
	(1u << VGPU_OP_NOP | 1u << VGPU_OP_INFO | 1u << VGPU_OP_BUFFER_MAP |   \
	 1u << VGPU_OP_BUFFER_UNMAP | 1u << VGPU_OP_BUILTIN |                  \
	 1u << VGPU_OP_FENCE | 1u << VGPU_OP_CTX_DESTROY)

#define BACK_KERNELS (1u << VGPU_KERNEL_VECTOR_ADD)
/* With --debug-kernels alone. */
#define BACK_DEBUG_KERNELS (1u << VGPU_KERNEL_DEBUG_FAULT)

/* GPUs of one host: the gpu node is smaller. */
#define BACK_MAX_GPUS 16

#endif /* VGPU_BACKEND_LIMITS_H */
