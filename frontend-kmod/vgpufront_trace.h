/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vgpufront_trace.h - tracepoints: events/vgpufront/ in tracefs
 *
 * All but map fire with the device's lock held, response and irq mostly in
 * interrupt context.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vgpufront

#if !defined(VGPUFRONT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VGPUFRONT_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(vgpufront_submit,
	TP_PROTO(unsigned int devid, const struct vgpu_request *req),
	TP_ARGS(devid, req),
	TP_STRUCT__entry(
		__field(unsigned int, devid)
		__field(u16, id)
		__field(u16, ctx)
		__field(u16, stream)
		__field(u8, op)
		__field(u8, flags)
	),
	TP_fast_assign(
		__entry->devid = devid;
		__entry->id = req->id;
		__entry->ctx = req->ctx;
		__entry->stream = req->stream;
		__entry->op = req->op;
		__entry->flags = req->flags;
	),
	TP_printk("dev=%u id=%u ctx=%u stream=%u op=%u flags=%u",
		  __entry->devid, __entry->id, __entry->ctx, __entry->stream,
		  __entry->op, __entry->flags)
);

TRACE_EVENT(vgpufront_notify,
	TP_PROTO(unsigned int devid, u32 prod, bool sent),
	TP_ARGS(devid, prod, sent),
	TP_STRUCT__entry(
		__field(unsigned int, devid)
		__field(u32, prod)
		__field(bool, sent)
	),
	TP_fast_assign(
		__entry->devid = devid;
		__entry->prod = prod;
		__entry->sent = sent;
	),
	TP_printk("dev=%u req_prod=%u %s", __entry->devid, __entry->prod,
		  __entry->sent ? "sent" : "suppressed")
);

TRACE_EVENT(vgpufront_irq,
	TP_PROTO(unsigned int devid, unsigned int responses),
	TP_ARGS(devid, responses),
	TP_STRUCT__entry(
		__field(unsigned int, devid)
		__field(unsigned int, responses)
	),
	TP_fast_assign(
		__entry->devid = devid;
		__entry->responses = responses;
	),
	TP_printk("dev=%u responses=%u", __entry->devid, __entry->responses)
);

TRACE_EVENT(vgpufront_response,
	TP_PROTO(unsigned int devid, u16 ctx, const struct vgpu_response *rsp,
		 s64 latency_ns),
	TP_ARGS(devid, ctx, rsp, latency_ns),
	TP_STRUCT__entry(
		__field(unsigned int, devid)
		__field(u16, ctx)
		__field(u16, id)
		__field(u16, status)
		__field(u16, retired)
		__field(u8, op)
		__field(s64, latency_ns)
	),
	TP_fast_assign(
		__entry->devid = devid;
		__entry->ctx = ctx;
		__entry->id = rsp->id;
		__entry->status = rsp->status;
		__entry->retired = rsp->retired;
		__entry->op = rsp->op;
		__entry->latency_ns = latency_ns;
	),
	TP_printk("dev=%u id=%u ctx=%u op=%u status=%u retired=%u latency_ns=%lld",
		  __entry->devid, __entry->id, __entry->ctx, __entry->op,
		  __entry->status, __entry->retired, __entry->latency_ns)
);

TRACE_EVENT(vgpufront_map,
	TP_PROTO(unsigned int devid, u16 ctx, unsigned int handle,
		 unsigned int nr_pages, bool read_only, bool map),
	TP_ARGS(devid, ctx, handle, nr_pages, read_only, map),
	TP_STRUCT__entry(
		__field(unsigned int, devid)
		__field(u16, ctx)
		__field(unsigned int, handle)
		__field(unsigned int, nr_pages)
		__field(bool, read_only)
		__field(bool, map)
	),
	TP_fast_assign(
		__entry->devid = devid;
		__entry->ctx = ctx;
		__entry->handle = handle;
		__entry->nr_pages = nr_pages;
		__entry->read_only = read_only;
		__entry->map = map;
	),
	TP_printk("dev=%u ctx=%u handle=%u pages=%u%s %s", __entry->devid,
		  __entry->ctx, __entry->handle, __entry->nr_pages,
		  __entry->read_only ? " read-only" : "",
		  __entry->map ? "granted" : "ended")
);

#endif /* VGPUFRONT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE vgpufront_trace
#include <trace/define_trace.h>
