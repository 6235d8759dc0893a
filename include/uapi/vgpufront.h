/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR MIT) */
/*
 * vgpufront.h - the ioctl ABI of /dev/vgpufront, version 1
 *
 * Owns every byte that passes between a guest program (normally through
 * libvgpufront) and the module vgpufront. Programs should use the library.
 *
 * Each open file is a context: buffers, device memory, modules, events, streams
 * and requests belong to it and are reclaimed, on the backend too, when its last
 * descriptor is closed. A descriptor may be used by several threads at once.
 * Structures have the same layout for 32 and 64 bit programs. Reserved fields
 * and unknown flags must be 0 (-EINVAL otherwise).
 *
 * poll() reports POLLIN where there is a completion to reap, and POLLOUT where
 * the ring has room for a request; other programs share it.
 *
 * When the device is lost (backend gone, detached, broken protocol), every
 * request in flight completes with -ENODEV, poll() reports POLLERR | POLLHUP,
 * and all calls but VGPUFRONT_IOC_INFO and reaping completions fail with
 * -ENODEV on that descriptor for good. A new open() works once the device is
 * connected again; "generation" of struct vgpufront_info has then grown.
 */
#ifndef _UAPI_VGPUFRONT_H
#define _UAPI_VGPUFRONT_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VGPUFRONT_ABI_VERSION		1

/* Buffers of one context, and requests of one context not yet reaped. */
#define VGPUFRONT_MAX_BUFFERS		256
#define VGPUFRONT_MAX_REQUESTS		1024

/* Length of text fields, with the NUL. */
#define VGPUFRONT_TEXT_LEN		96

/* enum for vgpufront_info.state */
#define VGPUFRONT_STATE_DISCONNECTED	0	/* negotiating, or no backend */
#define VGPUFRONT_STATE_CONNECTED	1
#define VGPUFRONT_STATE_CLOSING		2	/* detach or backend shutdown */
#define VGPUFRONT_STATE_BROKEN		3	/* backend violated the protocol */

/*
 * VGPUFRONT_IOC_INFO - facts about the device and this context
 *
 * Works in every state. Where the device is connected, one INFO request goes
 * to the backend and the call blocks until it is answered (-EINTR on a
 * signal); else the fields from mem_total on are 0.
 *
 * @abi:		VGPUFRONT_ABI_VERSION
 * @state:		VGPUFRONT_STATE_*, of the device
 * @generation:		grows by one each time the device connects; from 1
 * @lost:		1 when this context is lost (see above), else 0
 * @backend_domid:	domain that serves the device
 * @devid:		number of the device in xenstore
 * @ring_slots:		slots of the shared ring
 * @max_buffer_pages:	largest buffer, in pages of 4096 bytes
 * @engine:		"cuda", "cpu" or "remote"; "cpu" is not a GPU
 * @gpu_name, @gpu_uuid, @compute_capability, @driver_version:
 *			as the backend published them; "" where unknown
 * @ops, @builtins:	what the engine carries out: names separated by spaces
 * @gpu_memory:		bytes of memory of the GPU, from xenstore
 * @mem_total ... @launches: struct vgpu_info of <xen/io/vgpuif.h>
 */
struct vgpufront_info {
	__u32 abi;
	__u32 state;
	__u32 generation;
	__u32 lost;
	__u32 backend_domid;
	__u32 devid;
	__u32 ring_slots;
	__u32 max_buffer_pages;
	char engine[VGPUFRONT_TEXT_LEN];
	char gpu_name[VGPUFRONT_TEXT_LEN];
	char gpu_uuid[VGPUFRONT_TEXT_LEN];
	char compute_capability[VGPUFRONT_TEXT_LEN];
	char driver_version[VGPUFRONT_TEXT_LEN];
	char ops[4 * VGPUFRONT_TEXT_LEN];
	char builtins[2 * VGPUFRONT_TEXT_LEN];
	__u64 gpu_memory;
	__u64 mem_total;
	__u64 mem_free;
	__u64 mem_quota;
	__u64 mem_used;
	__u64 requests;
	__u64 errors;
	__u64 busy_ns;
	__u32 temperature_mc;
	__u32 power_mw;
	__u32 utilization;
	__u32 nr_buffers;
	__u32 nr_objects;
	__u32 reserved0;
	__u64 launches;
	__u64 reserved[8];
};

/*
 * VGPUFRONT_IOC_BUFFER_ALLOC - zeroed pages, granted and mapped by the backend
 *
 * @size:	in: bytes, at least 1; rounded up to pages
 * @flags:	in: 0
 * @handle:	out: names the buffer in this context, at least 1
 * @mmap_offset: out: offset for mmap() of this descriptor (PROT_READ |
 *		PROT_WRITE, MAP_SHARED), size bytes rounded up to pages
 *
 * Blocks until the backend has mapped it. The memory lives until the buffer is
 * freed and the last mapping of it is gone.
 *
 * Errors: EINVAL (size 0, flags), E2BIG (larger than max_buffer_pages),
 * EMFILE (VGPUFRONT_MAX_BUFFERS), ENOMEM, ENOSPC (the domain has no free grant
 * references: free buffers or use smaller ones), EDQUOT, EINTR, ENODEV, or why
 * the backend refused (VGPU_STATUS_LIST of <xen/io/vgpuif.h>), as EREMOTEIO.
 */
struct vgpufront_buffer_alloc {
	__u64 size;
	__u32 flags;
	__u32 handle;
	__u64 mmap_offset;
};

/*
 * VGPUFRONT_IOC_BUFFER_REGISTER - pin memory of the caller and grant it in place
 *
 * @addr:	in: address of the first byte, multiple of 4
 * @size:	in: bytes, at least 1
 * @flags:	in: VGPUFRONT_BUFFER_READ_ONLY or 0; the former grants the pages
 *		read-only: the buffer can only be an input
 * @handle:	out
 *
 * The pages stay pinned until the buffer is freed. Errors as for
 * VGPUFRONT_IOC_BUFFER_ALLOC, and EFAULT (not all of the range is mapped, or
 * not writable without READ_ONLY).
 */
#define VGPUFRONT_BUFFER_READ_ONLY	0x1

struct vgpufront_buffer_register {
	__u64 addr;
	__u64 size;
	__u32 flags;
	__u32 handle;
};

/*
 * VGPUFRONT_IOC_BUFFER_FREE - take the buffer back from the backend
 *
 * Blocks until the backend has unmapped it. Errors: ENOENT (no such handle),
 * EBUSY (a request in flight uses it), EINTR (try again), EINVAL (reserved).
 * Works on a lost device too.
 */
struct vgpufront_buffer_free {
	__u32 handle;
	__u32 reserved;
};

/*
 * One request of VGPUFRONT_IOC_ENTER.
 *
 * Operations, kernels and what they do: <xen/io/vgpuif.h>, by the same numbers.
 * Lengths, offsets and units are as there, too.
 *
 * Handles of guest buffers are the module's, from BUFFER_ALLOC and
 * BUFFER_REGISTER. Handles of device memory (with VGPUFRONT_HANDLE_MEM), modules,
 * functions and events are numbers that the program picks, each in a space of
 * this context; what they name is made by the request that says so.
 *
 * @user_data:	comes back in the completion
 * @op:		VGPUFRONT_OP_*
 * @flags:	VGPUFRONT_SQE_QUIET or 0
 * @stream:	requests of one stream take effect in order; 0 ... 65535,
 *		streams come into being by their first request
 * @nop.cookie: comes back in the completion's value
 * @builtin.kernel: enum vgpu_kernel
 * @builtin.param: parameter of the kernel, 0 where it has none or a block
 * @builtin.param_len, @builtin.params: parameter block: octets (at most
 *		VGPUFRONT_MAX_PARAMS) and address, both 0 where it has none
 * @builtin.operand: number of 4-byte elements, offset in bytes from the first
 *		byte, multiple of 4
 * @module_load.image, @module_load.log: count in bytes, any offset; guest
 *		buffers
 * @function_get.name, @function_get.name_len: address, without a NUL
 * @function_get.params: count in bytes; guest buffer, or all 0
 * @launch.args, @launch.args_len: address of the argument blob, and its bytes
 * @launch.relocs, @launch.nr_relocs: address of that many struct
 *		vgpufront_reloc
 * @handle.handle: MEM_FREE, MODULE_UNLOAD, EVENT_RECORD, EVENT_WAIT,
 *		EVENT_DESTROY
 *
 * FENCE and STREAM_DESTROY complete when every earlier request of their stream
 * has. With VGPUFRONT_SQE_QUIET a request that the module takes has no
 * completion: the first failure of the stream since its last FENCE is the next
 * FENCE's result, with the failed request's op in its value. One that the
 * module refuses (malformed, bad address or buffer) completes at once, with the
 * error. Not for NOP, MODULE_LOAD, FUNCTION_GET, FENCE and STREAM_DESTROY.
 */
#define VGPUFRONT_OP_NOP		1
#define VGPUFRONT_OP_BUILTIN		5
#define VGPUFRONT_OP_FENCE		6
#define VGPUFRONT_OP_MEM_ALLOC		7
#define VGPUFRONT_OP_MEM_FREE		8
#define VGPUFRONT_OP_COPY		9
#define VGPUFRONT_OP_FILL		10
#define VGPUFRONT_OP_MODULE_LOAD	11
#define VGPUFRONT_OP_MODULE_UNLOAD	12
#define VGPUFRONT_OP_FUNCTION_GET	13
#define VGPUFRONT_OP_LAUNCH		14
#define VGPUFRONT_OP_EVENT_RECORD	15
#define VGPUFRONT_OP_EVENT_WAIT		16
#define VGPUFRONT_OP_EVENT_DESTROY	17
#define VGPUFRONT_OP_STREAM_DESTROY	18

#define VGPUFRONT_SQE_QUIET		0x01

#define VGPUFRONT_HANDLE_MEM		0x80000000U

#define VGPUFRONT_MAX_PARAMS		64
#define VGPUFRONT_MAX_KERNEL_NAME	1023
#define VGPUFRONT_MAX_ARGS		4096
#define VGPUFRONT_MAX_RELOCS		64

/* vgpufront_sqe.module_load.format */
#define VGPUFRONT_MODULE_PTX		1
#define VGPUFRONT_MODULE_CUBIN		2
#define VGPUFRONT_MODULE_FATBIN		3

struct vgpufront_operand {
	__u32 handle;
	__u32 count;
	__u64 offset;
};

struct vgpufront_reloc {
	__u32 handle;
	__u16 at;
	__u16 reserved;
};

struct vgpufront_sqe {
	__u64 user_data;
	__u8 op;
	__u8 flags;
	__u16 stream;
	__u32 reserved;
	union {
		struct {
			__u64 cookie;
			__u64 reserved[7];
		} nop;
		struct {
			__u16 kernel;
			__u16 param_len;
			__u32 param;
			struct vgpufront_operand operand[3];
			__u64 params;
		} builtin;
		struct {
			__u32 handle;
			__u32 reserved0;
			__u64 length;
			__u64 reserved[6];
		} mem_alloc;
		struct {
			__u32 dst;
			__u32 src;
			__u64 dst_offset;
			__u64 src_offset;
			__u64 length;
			__u64 reserved[4];
		} copy;
		struct {
			__u32 handle;
			__u32 pattern;
			__u32 width;
			__u32 reserved0;
			__u64 offset;
			__u64 length;
			__u64 reserved[4];
		} fill;
		struct {
			__u32 module;
			__u32 format;
			struct vgpufront_operand image;
			struct vgpufront_operand log;
			__u64 reserved[3];
		} module_load;
		struct {
			__u32 module;
			__u32 function;
			__u64 name;
			__u32 name_len;
			__u32 reserved0;
			struct vgpufront_operand params;
			__u64 reserved[3];
		} function_get;
		struct {
			__u32 function;
			__u32 grid[3];
			__u16 block[3];
			__u16 args_len;
			__u32 shared;
			__u16 nr_relocs;
			__u16 reserved0;
			__u64 args;
			__u64 relocs;
			__u64 reserved[2];
		} launch;
		struct {
			__u32 handle;
			__u32 reserved0;
			__u64 reserved[7];
		} handle;
		__u64 body[8];
	};
};

/*
 * One completion.
 *
 * @user_data:	of the request
 * @result:	0 or a negative errno
 * @status:	enum vgpu_status of <xen/io/vgpuif.h>; VGPU_RSP_INVALID where the
 *		module refused the request itself
 * @time_ns:	nanoseconds that the engine was busy with it
 * @value:	as the operation says
 */
struct vgpufront_cqe {
	__u64 user_data;
	__s32 result;
	__u32 status;
	__u64 time_ns;
	__u64 value;
};

/*
 * VGPUFRONT_IOC_ENTER - submit a batch, then wait for and reap completions
 *
 * @sqes, @nr_sqes:	in: array of struct vgpufront_sqe; nr_sqes may be 0
 * @cqes, @nr_cqes:	in: room for completions; nr_cqes may be 0
 * @min_complete:	in: return when this many were reaped (at most nr_cqes),
 *			or none is in flight any more
 * @flags:		in: 0
 * @timeout_ns:		in: < 0 waits for ever, 0 does not wait
 * @submitted:		out: requests taken, from the front of sqes
 * @completed:		out: completions stored
 *
 * The whole batch goes into the ring before the backend is notified, at most
 * once per ring's worth. Every request taken that is not quiet gets exactly one
 * completion, a malformed one with -EINVAL, a bad handle with -ENOENT, a bad
 * address with -EFAULT, one whose payload finds no memory with -ENOMEM. Fewer
 * are taken than offered when the context has VGPUFRONT_MAX_REQUESTS not yet
 * reaped, when the ring is full and the call may not wait, or on a signal.
 *
 * Returns 0 when anything was submitted or completed, or nothing was asked
 * for; else EAGAIN (would have to wait, timeout 0 or O_NONBLOCK), ETIME,
 * EINTR, EFAULT, EINVAL, ENODEV (lost, and nothing left to reap).
 */
struct vgpufront_enter {
	__u64 sqes;
	__u64 cqes;
	__u32 nr_sqes;
	__u32 nr_cqes;
	__u32 min_complete;
	__u32 flags;
	__s64 timeout_ns;
	__u32 submitted;
	__u32 completed;
};

#define VGPUFRONT_IOC_MAGIC		0xb6
#define VGPUFRONT_IOC_INFO		_IOR(VGPUFRONT_IOC_MAGIC, 0x00, struct vgpufront_info)
#define VGPUFRONT_IOC_BUFFER_ALLOC	_IOWR(VGPUFRONT_IOC_MAGIC, 0x01, struct vgpufront_buffer_alloc)
#define VGPUFRONT_IOC_BUFFER_REGISTER	_IOWR(VGPUFRONT_IOC_MAGIC, 0x02, struct vgpufront_buffer_register)
#define VGPUFRONT_IOC_BUFFER_FREE	_IOW(VGPUFRONT_IOC_MAGIC, 0x03, struct vgpufront_buffer_free)
#define VGPUFRONT_IOC_ENTER		_IOWR(VGPUFRONT_IOC_MAGIC, 0x04, struct vgpufront_enter)

#endif /* _UAPI_VGPUFRONT_H */
