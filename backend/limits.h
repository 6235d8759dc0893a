/* SPDX-License-Identifier: MIT */
/*
 * limits.h - what this backend carries out, and how much of it
 *
 * The supervisor publishes it (max-* nodes, ops, builtins), the worker holds
 * guests to it: both from here, so that they cannot differ.
 */
#ifndef VGPU_BACKEND_LIMITS_H
#define VGPU_BACKEND_LIMITS_H

#include <xen/io/vgpuif.h>

#define BACK_MAX_BUFFERS 1024
#define BACK_MAX_BUFFER_PAGES 65536
#define BACK_MAX_STREAMS 256
#define BACK_MAX_OBJECTS 16384

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

/* Longest time that a guest's kernel may run (--max-launch-ms). */
#define BACK_LAUNCH_MS 10000
#define BACK_MAX_LAUNCH_MS 86400000

/* Bits of enum vgpu_op: all there are; of these, what needs a GPU. */
#define BACK_OP_BIT(name, code, str) | 1u << (code)
#define BACK_OPS (0u VGPU_OP_LIST(BACK_OP_BIT))
#define BACK_MODULE_OPS                                                        \
	(1u << VGPU_OP_MODULE_LOAD | 1u << VGPU_OP_MODULE_UNLOAD |             \
	 1u << VGPU_OP_FUNCTION_GET | 1u << VGPU_OP_LAUNCH)
/* What may carry VGPU_REQF_QUIET. */
#define BACK_QUIET_OPS                                                         \
	(1u << VGPU_OP_BUILTIN | 1u << VGPU_OP_MEM_ALLOC |                     \
	 1u << VGPU_OP_MEM_FREE | 1u << VGPU_OP_COPY | 1u << VGPU_OP_FILL |    \
	 1u << VGPU_OP_MODULE_UNLOAD | 1u << VGPU_OP_LAUNCH |                  \
	 1u << VGPU_OP_EVENT_RECORD | 1u << VGPU_OP_EVENT_WAIT |               \
	 1u << VGPU_OP_EVENT_DESTROY)

#define BACK_KERNELS                                                           \
	(1u << VGPU_KERNEL_VECTOR_ADD | 1u << VGPU_KERNEL_SAXPY |              \
	 1u << VGPU_KERNEL_SGEMM | 1u << VGPU_KERNEL_REDUCE_SUM)
/* With --debug-kernels alone. */
#define BACK_DEBUG_KERNELS (1u << VGPU_KERNEL_DEBUG_FAULT)

/* GPUs of one host: the gpu node is smaller. */
#define BACK_MAX_GPUS 16

#endif /* VGPU_BACKEND_LIMITS_H */
