/* SPDX-License-Identifier: MIT */
/*
 * stats.h - what a worker counts
 *
 * The worker's one thread writes it; it leaves the worker by MSG_REPORT. All
 * that reports about a device reads this structure.
 */
#ifndef VGPU_BACKEND_STATS_H
#define VGPU_BACKEND_STATS_H

#include <stdint.h>
#include <xen/io/vgpuif.h>

#include "../cuda/engine.h"
#include "arbiter.h"

/*
 * @requests:	read from the ring
 * @quiet:	of these, with VGPU_REQF_QUIET
 * @retired:	of these, whose slots went back with a later response
 * @status:	requests that are done, by enum vgpu_status
 * @path:	jobs that the engine has ended, by enum vgpu_path
 * @wakeups:	events of the event channel that the worker has taken
 * @sleeps:	how often it has slept
 * @polls_hit, @polls_vain: how often it looked for work before it slept and
 *		found some, and did not
 * @batches:	pushes of one or more responses
 * @notify_sent, @notify_suppressed: pushes that did and did not need an event
 * @busy_ns:	time with work of this device in the engine, of one job or many;
 *		up to date in a report
 * @launches:	kernels that LAUNCH has run
 * @buffers, @bytes_mapped: guest buffers at present
 * @objects, @mem_used: objects at present, and bytes of device memory
 */
struct vgpu_stats {
	uint64_t requests;
	uint64_t quiet;
	uint64_t retired;
	uint64_t status[VGPU_RSP_MAX + 1];
	uint64_t path[VGPU_NR_PATHS];
	uint64_t wakeups;
	uint64_t sleeps;
	uint64_t polls_hit;
	uint64_t polls_vain;
	uint64_t batches;
	uint64_t notify_sent;
	uint64_t notify_suppressed;
	uint64_t busy_ns;
	uint64_t launches;
	uint64_t buffers;
	uint64_t bytes_mapped;
	uint64_t objects;
	uint64_t mem_used;
};

/* Requests with a status other than VGPU_RSP_OK. */
uint64_t stats_errors(const struct vgpu_stats *st);
/* use: the GPU's share as the supervisor counts it. */
void stats_log(uint32_t domid, uint32_t devid, const struct vgpu_stats *st,
	       const struct arbiter_use *use);

#endif /* VGPU_BACKEND_STATS_H */
