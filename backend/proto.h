/* SPDX-License-Identifier: MIT */
/*
 * proto.h - what supervisor and worker say to each other
 *
 * One socketpair (SOCK_SEQPACKET) a worker; every message is one struct msg. Who
 * has the GPU is no matter of messages: lease.h.
 *
 *   supervisor                              worker
 *   MSG_CONFIG           ------------->     (first, once)
 *                        <-------------     MSG_READY, or MSG_FAILED and exit
 *   MSG_STATS            ------------->
 *                        <-------------     MSG_REPORT
 *   MSG_STOP             ------------->
 *                        <-------------     MSG_REPORT and exit
 *   MSG_QUOTA            ------------->     (a quota has changed)
 *                        <-------------     MSG_BROKEN: the guest broke the
 *                                           ring or the engine is lost; then
 *                                           as after MSG_STOP
 *
 * The worker reads what a guest writes, so the supervisor believes it nothing:
 * a message of another size, or that does not fit the moment, ends the worker.
 */
#ifndef VGPU_BACKEND_PROTO_H
#define VGPU_BACKEND_PROTO_H

#include <stdint.h>
#include <xen/io/vgpuif.h>

#include "stats.h"

/* The worker's end of the socketpair. */
#define WORKER_FD 3

#define WORKER_WHY 256
/* "cuda", or "remote:" and an address. */
#define WORKER_ENGINE_NAME 264

enum msg_type {
	MSG_CONFIG = 1,
	MSG_READY,
	MSG_FAILED,
	MSG_STOP,
	MSG_STATS,
	MSG_REPORT,
	MSG_BROKEN,
	MSG_QUOTA,
};

/*
 * Checked by the supervisor against the limits of <xen/io/vgpuif.h>.
 *
 * @mem_quota: bytes of device memory, 0: no quota
 * @poll_us, @max_launch_ms: as the options of vgpubackd
 * @max_buffers, @max_mapped_pages: the least of what options and nodes allow
 * @kernels: bits of enum vgpu_kernel that the guest may ask for
 */
struct worker_config {
	uint32_t domid;
	uint32_t devid;
	uint32_t ring_order;
	uint32_t ring_ref[1 << VGPUIF_MAX_RING_PAGE_ORDER];
	uint32_t event_channel;
	uint32_t arena_pages;
	uint32_t arena_ref;
	uint32_t gpu;
	uint64_t mem_quota;
	uint32_t log_level;
	uint32_t poll_us;
	uint32_t max_buffers;
	uint32_t max_mapped_pages;
	uint32_t max_launch_ms;
	uint32_t kernels;
	char engine[WORKER_ENGINE_NAME];
};

/*
 * @deadline_ms: of MSG_STOP: how long work in the engine may still run; what
 *	does not end by then is answered with VGPU_RSP_DEVICE_LOST
 */
struct msg {
	uint32_t type;
	uint32_t deadline_ms;
	union {
		struct worker_config config;
		struct vgpu_stats stats;
		uint64_t mem_quota;
		char why[WORKER_WHY];
	} u;
};

#endif /* VGPU_BACKEND_PROTO_H */
