/* SPDX-License-Identifier: MIT */
/*
 * vgpufront.h - libvgpufront: GPU compute from a Xen guest
 *
 * Owns the interface of the library, call by call. It needs no other header of
 * Xen or of the kernel. Programs link with `pkg-config --libs vgpufront`.
 *
 * Errors: calls that return int return 0 (or a count) on success and a
 * negative errno on failure; errno itself is not touched. vgpu_strerror() has
 * the text. Every call on a lost device (backend gone, device detached) says
 * -ENODEV; what was in flight finishes with it. Close the device and open it
 * again to go on. Besides the errors named at each call, what the backend maps
 * or runs can fail with -EREMOTEIO (it could not map the memory), -ETIME (the
 * work took longer than it allows) and -EPROTO (it failed internally).
 *
 * Threads: all calls may be made by several threads at once on one device,
 * except vgpu_close(), vgpu_buffer_free(), vgpu_buffer_unregister() and
 * vgpu_op_free(), after which the object is gone for everybody. The library
 * has no threads of its own: work larger than one request progresses in
 * vgpu_process(), vgpu_op_wait() and the other calls that wait.
 *
 * Signals: no call returns early because of a signal handler; calls that wait
 * go on waiting. Descriptors are close-on-exec.
 *
 * fork(): a child must not use a device, buffer or operation of its parent,
 * nor call vgpu_close() on it; it opens the device itself.
 */
#ifndef VGPUFRONT_H
#define VGPUFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open device: a context of its own, with buffers, streams, operations. */
struct vgpu_device;
/* Memory that the backend has mapped, and reads and writes in place. */
struct vgpu_buffer;
/* An asynchronous operation. */
struct vgpu_op;

#define VGPU_TEXT_LEN 96

/* vgpu_device_info.state */
enum vgpu_state {
	VGPU_STATE_DISCONNECTED = 0, /* negotiating, or no backend */
	VGPU_STATE_CONNECTED = 1,
	VGPU_STATE_CLOSING = 2, /* being detached, or backend shuts down */
	VGPU_STATE_BROKEN = 3,	/* backend violated the protocol */
};

/*
 * What vgpu_get_info() tells. Text is "" and a number is 0 where unknown.
 *
 * @state:		enum vgpu_state
 * @generation:		grows by one each time the device connects; from 1
 * @lost:		1 when this open device is lost, else 0
 * @backend_domid:	Xen domain that serves the device
 * @devid:		number of the device in xenstore
 * @ring_slots:		requests that fit the shared ring
 * @nr_buffers:		memory objects of the device in the backend
 * @max_buffer_size:	bytes of the largest buffer
 * @engine:		what runs the work: "cuda", "remote", or "cpu", which
 *			is not a GPU
 * @gpu_name, @gpu_uuid, @compute_capability, @driver_version: as the engine
 *			read them; for "cpu", gpu_name is the processor
 * @ops, @builtins:	what the engine carries out: names, one space between
 * @mem_total, @mem_free: bytes of GPU memory
 * @mem_quota, @mem_used: bytes this device may use (0: no limit) and uses
 * @requests, @errors:	requests answered since the device connected; those of
 *			them that failed
 * @busy_ns:		nanoseconds of engine time this device was charged for
 * @temperature_mc:	millidegrees Celsius
 * @power_mw:		milliwatts
 * @utilization:	of the GPU, by all its users, in per cent
 */
struct vgpu_device_info {
	uint32_t state;
	uint32_t generation;
	uint32_t lost;
	uint32_t backend_domid;
	uint32_t devid;
	uint32_t ring_slots;
	uint32_t nr_buffers;
	uint32_t reserved0;
	uint64_t max_buffer_size;
	char engine[VGPU_TEXT_LEN];
	char gpu_name[VGPU_TEXT_LEN];
	char gpu_uuid[VGPU_TEXT_LEN];
	char compute_capability[VGPU_TEXT_LEN];
	char driver_version[VGPU_TEXT_LEN];
	char ops[2 * VGPU_TEXT_LEN];
	char builtins[2 * VGPU_TEXT_LEN];
	uint64_t mem_total;
	uint64_t mem_free;
	uint64_t mem_quota;
	uint64_t mem_used;
	uint64_t requests;
	uint64_t errors;
	uint64_t busy_ns;
	uint32_t temperature_mc;
	uint32_t power_mw;
	uint32_t utilization;
	uint32_t reserved1;
	uint64_t reserved[16];
};

/*
 * vgpu_open - open a device
 *
 * @path:	the device's node; NULL: "/dev/vgpufront"
 * @dev:	out: the device, closed with vgpu_close()
 *
 * Waits for one answer of the backend where it is connected. A device that is
 * not connected may be opened all the same, to ask for its state; all work on
 * it then says -ENODEV.
 *
 * Errors: those of open(2), mainly -ENOENT (no such node), -EACCES and -ENODEV
 * (device gone); -ENOTTY (not a vgpu device); -EPROTONOSUPPORT (the module has
 * another ABI version than this library); -ENOMEM; -EINVAL (dev is NULL).
 */
int vgpu_open(const char *path, struct vgpu_device **dev);

/*
 * vgpu_close - close a device
 *
 * Work not yet sent is dropped (-ECANCELED), what is in flight is waited for,
 * since it writes to the caller's memory; then all buffers of the device are
 * freed and its descriptor is closed. Operations stay valid, finished, until
 * vgpu_op_free(). NULL is allowed. No other thread may be in a call on dev.
 */
void vgpu_close(struct vgpu_device *dev);

/*
 * vgpu_get_info - facts about the device; waits for one answer of the backend
 *
 * Works in every state; what the backend alone knows (mem_total and on) is 0
 * when it is not connected.
 *
 * Errors: -EINVAL (info is NULL), -ENOMEM.
 */
int vgpu_get_info(struct vgpu_device *dev, struct vgpu_device_info *info);

/*
 * vgpu_fd - descriptor to poll
 *
 * It polls readable (POLLIN) when vgpu_process() would make progress; after
 * the device is lost it always does. It belongs to dev: do not read or close
 * it. The same one on every call.
 *
 * Errors: -EMFILE, -ENFILE, -ENOMEM.
 */
int vgpu_fd(struct vgpu_device *dev);

/*
 * vgpu_process - progress without waiting
 *
 * Takes what has finished, sends what can be sent. Never waits for an
 * operation; for large operands it asks the backend to map the next piece.
 *
 * Returns how many asynchronous operations have finished since the last call
 * (however they were noticed), or -ENODEV when that is 0 and the device is
 * lost.
 */
int vgpu_process(struct vgpu_device *dev);

/*
 * vgpu_buffer_alloc - memory shared with the backend
 *
 * @size:	bytes, at least 1
 * @buf:	out: the buffer, freed with vgpu_buffer_free() or vgpu_close()
 *
 * The memory is zeroed, page aligned and readable and writable by the program.
 * Operands that lie in a buffer are used in place, without any copy. Waits for
 * the backend to map it.
 *
 * Errors: -EINVAL, -E2BIG (larger than max_buffer_size), -EMFILE (256 buffers
 * exist), -ENOMEM, -ENOSPC (the guest has no free grant references: use
 * smaller buffers, or ordinary memory, which is streamed), -EDQUOT, -ENODEV.
 */
int vgpu_buffer_alloc(struct vgpu_device *dev, size_t size,
		      struct vgpu_buffer **buf);

/*
 * vgpu_buffer_free - free memory of vgpu_buffer_alloc()
 *
 * Waits for the backend to unmap it. NULL is allowed.
 *
 * Errors: -EBUSY (an operation that uses it has not finished), -EINVAL (not
 * of vgpu_buffer_alloc()); the buffer is unchanged then. On any other error
 * it is gone.
 */
int vgpu_buffer_free(struct vgpu_buffer *buf);

/* vgpu_buffer_register(): the memory is only an input, never written to */
#define VGPU_BUFFER_READ_ONLY 0x1u

/*
 * vgpu_buffer_register - let the backend use memory of the caller in place
 *
 * @addr:	first byte, multiple of 4
 * @size:	bytes, at least 1
 * @flags:	VGPU_BUFFER_READ_ONLY or 0
 * @buf:	out: the buffer
 *
 * The pages are pinned until vgpu_buffer_unregister() or vgpu_close(); the
 * memory must stay mapped that long, and remains the caller's. Worth it for
 * memory that is used again and again.
 *
 * Errors: as vgpu_buffer_alloc(), and -EFAULT: the range is not all mapped,
 * not writable without VGPU_BUFFER_READ_ONLY, or of a kind that can not be
 * pinned.
 */
int vgpu_buffer_register(struct vgpu_device *dev, void *addr, size_t size,
			 unsigned int flags, struct vgpu_buffer **buf);

/* vgpu_buffer_unregister - undo vgpu_buffer_register(); as vgpu_buffer_free() */
int vgpu_buffer_unregister(struct vgpu_buffer *buf);

/* vgpu_buffer_ptr - first byte of the buffer's memory */
void *vgpu_buffer_ptr(const struct vgpu_buffer *buf);

/* vgpu_buffer_size - bytes, as asked for */
size_t vgpu_buffer_size(const struct vgpu_buffer *buf);

/*
 * Streams: operations of one stream take effect in the order of their calls;
 * different streams are independent and may run at the same time. A stream is
 * a number, 0 ... VGPU_MAX_STREAM, that exists by being used. The backend
 * limits how many are in use at a time (256 by default).
 */
#define VGPU_MAX_STREAM 65535u

/*
 * vgpu_vector_add - c[i] = a[i] + b[i], and wait for the result
 *
 * @a, @b:	inputs, n floats each
 * @c:		output, n floats; may be exactly a or b, or both
 * @n:		number of floats; 0 does nothing
 *
 * IEEE 754 binary32, rounded to nearest even, subnormals kept. Runs on stream
 * 0, after all earlier work of that stream.
 *
 * Any memory may be used. What lies wholly in a vgpu_buffer (at a multiple of
 * 4 bytes from its start) is used in place. Up to 64 KiB are copied through
 * memory the library keeps; more is pinned and used in place, piece by piece,
 * with several pieces in flight, so that any size works whatever the guest's
 * limits. Memory that can not be pinned, or is not aligned to 4 bytes, is
 * copied.
 *
 * Errors: -EFAULT (memory not mapped, or c not writable; unless the system
 * forbids process_vm_writev(2) on oneself, where this is SIGSEGV as in
 * memcpy(3)), -EINVAL (n floats are larger than memory can be; c overlaps a or
 * b without being the same), -EACCES (c is in a buffer registered
 * VGPU_BUFFER_READ_ONLY), -EOPNOTSUPP (not known to the engine), -ENOSPC,
 * -ENOMEM, -EMFILE, -EDQUOT (not even a page could be shared, with nothing in
 * flight), -EIO (fault on the device), -ENODEV. c is undefined after an error.
 */
int vgpu_vector_add(struct vgpu_device *dev, const float *a, const float *b,
		    float *c, size_t n);

/*
 * vgpu_vector_add_async - the same, without waiting
 *
 * @stream:	0 ... VGPU_MAX_STREAM
 * @op:		out: the operation, freed with vgpu_op_free()
 *
 * The memory must stay as it is until the operation has finished: inputs may
 * be read and the output written at any time before. Does not wait for the
 * operation; errors of the memory and of the backend come with its result.
 *
 * Errors: -EINVAL, -EFAULT (NULL), -EACCES, -ENOMEM, -ENODEV.
 */
int vgpu_vector_add_async(struct vgpu_device *dev, const float *a,
			  const float *b, float *c, size_t n,
			  unsigned int stream, struct vgpu_op **op);

/*
 * vgpu_fence - wait until all earlier work of a stream has finished
 *
 * @stream:	0 ... VGPU_MAX_STREAM
 *
 * Returns 0 also when some of that work failed; its own result says so.
 *
 * Errors: -EINVAL, -ENODEV.
 */
int vgpu_fence(struct vgpu_device *dev, unsigned int stream);

/*
 * vgpu_fence_async - an operation that finishes when all earlier work of the
 * stream has
 *
 * Errors: -EINVAL, -ENOMEM, -ENODEV.
 */
int vgpu_fence_async(struct vgpu_device *dev, unsigned int stream,
		     struct vgpu_op **op);

/*
 * vgpu_op_wait - wait until an operation has finished
 *
 * @timeout_ns:	nanoseconds; < 0 waits for ever, 0 does not wait
 *
 * Returns 0 when it has finished, with whatever result, or -ETIME. Several
 * threads may wait for one operation.
 */
int vgpu_op_wait(struct vgpu_op *op, int64_t timeout_ns);

/* vgpu_op_done - has it finished? Makes no progress by itself. */
bool vgpu_op_done(const struct vgpu_op *op);

/*
 * vgpu_op_result - 0 or the error of a finished operation, as the synchronous
 * call would have returned it; -EINPROGRESS before
 */
int vgpu_op_result(const struct vgpu_op *op);

/*
 * vgpu_op_time_ns - nanoseconds the engine was busy with a finished operation,
 * the sum over all its pieces; 0 before
 */
uint64_t vgpu_op_time_ns(const struct vgpu_op *op);

/*
 * vgpu_op_free - free a finished operation. NULL is allowed.
 *
 * Errors: -EBUSY (not finished; it still uses the caller's memory).
 */
int vgpu_op_free(struct vgpu_op *op);

/*
 * vgpu_strerror - what an error means
 *
 * @err:	an error of this library, negative, or the errno, positive
 *
 * Never NULL; the text lives for ever and must not be changed.
 */
const char *vgpu_strerror(int err);

/* vgpu_version - of the library, "<major>.<minor>.<patch>" */
const char *vgpu_version(void);

#ifdef __cplusplus
}
#endif

#endif /* VGPUFRONT_H */
