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
 * work took longer than it allows; the device is lost) and -EPROTO (it failed
 * internally).
 *
 * Asynchronous calls that give no operation (everything with a stream, but for
 * the _async calls) return when the work is on its way. Their failure is not
 * lost: it is the result of the stream's next vgpu_fence() or
 * vgpu_fence_async(), the first one where there are several, as in CUDA. Work
 * behind a failure goes on. What is wrong with the arguments is said at once.
 * Of a lost device, too, a fence says what failed before; then -ENODEV.
 *
 * Threads: all calls may be made by several threads at once on one device,
 * except those that end an object (vgpu_close(), ..._free(), ..._unregister(),
 * ..._unload(), ..._destroy()), after which it is gone for everybody. The
 * library has no threads of its own: work larger than one request progresses in
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
/* Memory of the device. */
struct vgpu_mem;
/* Code for the GPU, and a kernel in it. */
struct vgpu_module;
struct vgpu_function;
/* A mark in a stream. */
struct vgpu_event;

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
 * @nr_buffers:		guest buffers of the device in the backend
 * @nr_objects:		memory, modules, functions and events of the device there
 * @launches:		kernels launched since the device connected
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
	char ops[4 * VGPU_TEXT_LEN];
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
	uint32_t nr_objects;
	uint64_t launches;
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
 * since it writes to the caller's memory; then all buffers, memory, modules,
 * functions and events of the device are freed and its descriptor is closed.
 * Operations stay valid, finished, until vgpu_op_free(). NULL is allowed. No
 * other thread may be in a call on dev.
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
 * Errors: -EBUSY (work that uses it has not finished), -EINVAL (not of
 * vgpu_buffer_alloc()); the buffer is unchanged then. On any other error it is
 * gone.
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

/* vgpu_buffer_unregister - undo vgpu_buffer_register(), as vgpu_buffer_free() */
int vgpu_buffer_unregister(struct vgpu_buffer *buf);

/* vgpu_buffer_ptr - first byte of the buffer's memory */
void *vgpu_buffer_ptr(const struct vgpu_buffer *buf);

/* vgpu_buffer_size - bytes, as asked for */
size_t vgpu_buffer_size(const struct vgpu_buffer *buf);

/*
 * Streams: operations of one stream take effect in the order of their calls;
 * different streams are independent and may run at the same time. A stream is
 * a number, 0 ... VGPU_MAX_STREAM, that exists by being used, until
 * vgpu_stream_destroy() or vgpu_close(). The backend keeps at most 256 for all
 * programs of a device, and fails work of further ones with -EDQUOT; one is the
 * library's, from the highest numbers, once modules are loaded or events
 * destroyed. What is waited for or polled for (operations, events, fences) is
 * done in the stream's order, too.
 */
#define VGPU_MAX_STREAM 65535u

/*
 * vgpu_stream_create - a stream that nobody uses
 *
 * @stream:	out: its number, at least 1. Stream 0 is always there.
 *
 * Errors: -EINVAL, -EMFILE (all numbers are given out), -ENOMEM, -ENODEV.
 */
int vgpu_stream_create(struct vgpu_device *dev, unsigned int *stream);

/*
 * vgpu_stream_destroy - wait for a stream's work and forget the stream
 *
 * Returns as vgpu_fence(). The stream is gone whatever it returns, but for
 * -EINVAL: not of vgpu_stream_create().
 */
int vgpu_stream_destroy(struct vgpu_device *dev, unsigned int stream);

/*
 * vgpu_batch_begin, vgpu_batch_end - send many requests at once
 *
 * Between the two, asynchronous work is collected and goes to the backend
 * together: when 64 requests are there, when any thread waits for work or calls
 * vgpu_process(), and at the end, which waits for room in the ring where that is
 * full. Calls may be nested. vgpu_batch_end() returns 0 or -ENODEV, -EINVAL
 * where there was no begin.
 */
void vgpu_batch_begin(struct vgpu_device *dev);
int vgpu_batch_end(struct vgpu_device *dev);

/*
 * vgpu_mem_alloc - zeroed memory of the device
 *
 * @size:	bytes, at least 1
 * @stream:	work of this stream may use it at once; that of others once
 *		vgpu_mem_address() or a fence of this stream has returned, or
 *		behind an event recorded after it
 * @mem:	out: the memory, freed with vgpu_mem_free() or vgpu_close()
 *
 * Does not wait. That there is none (-ENOMEM, -EDQUOT: more than mem_quota) is
 * said by the stream's next fence, and by vgpu_mem_address(). What was freed
 * counts until the work that it waits for is done: a program near its quota
 * fences the stream between freeing and allocating.
 *
 * Errors: -EINVAL, -ENOMEM (of the program), -EOPNOTSUPP, -ENODEV.
 */
int vgpu_mem_alloc(struct vgpu_device *dev, size_t size, unsigned int stream,
		   struct vgpu_mem **mem);

/*
 * vgpu_mem_free - give memory back when the stream has come so far
 *
 * Work called for before, on any stream, that names the memory goes on
 * undisturbed. Work that has its address (vgpu_mem_address()) must be on this
 * stream or over. mem is gone at once for the caller. NULL is allowed. Does not
 * wait.
 *
 * Errors: -EINVAL, -ENOMEM, -ENODEV; mem is gone all the same.
 */
int vgpu_mem_free(struct vgpu_mem *mem, unsigned int stream);

/*
 * vgpu_mem_address - where kernels find the memory; waits until it is there
 *
 * Errors: -EINVAL, -ENOMEM; why the allocation failed.
 */
int vgpu_mem_address(struct vgpu_mem *mem, uint64_t *address);

/* vgpu_mem_size - bytes, as asked for */
size_t vgpu_mem_size(const struct vgpu_mem *mem);

/*
 * vgpu_mem_find - the memory that an address of the device lies in
 *
 * @offset:	out: bytes from the memory's start
 *
 * NULL: in none whose address is known (vgpu_mem_address()). For programs that
 * keep addresses, as those of CUDA do; takes the time of a search in a tree.
 */
struct vgpu_mem *vgpu_mem_find(struct vgpu_device *dev, uint64_t address,
			       size_t *offset);

/*
 * A place in memory of the device, or in a vgpu_buffer: one of mem and buf, the
 * other NULL. offset is in bytes. Passed by value; the object must live until
 * the work has been called for, not longer, but for a buffer (vgpu_buffer_free()
 * says -EBUSY).
 */
struct vgpu_ref {
	struct vgpu_mem *mem;
	struct vgpu_buffer *buf;
	uint64_t offset;
};

static inline struct vgpu_ref vgpu_at(struct vgpu_mem *mem, uint64_t offset)
{
	struct vgpu_ref ref = {mem, NULL, offset};

	return ref;
}

static inline struct vgpu_ref vgpu_in(struct vgpu_buffer *buf, uint64_t offset)
{
	struct vgpu_ref ref = {NULL, buf, offset};

	return ref;
}

/*
 * vgpu_copy - copy between memory of the device and buffers, in any direction
 *
 * @size:	bytes; 0 does nothing. Ranges that overlap without being the same
 *		leave the result undefined.
 *
 * vgpu_copy_in, vgpu_copy_out - the same from and to ordinary memory of the
 * program, which is read or written at any time until the stream's next fence
 * has returned, and must stay until then. Memory in a vgpu_buffer is used in
 * place; other memory as vgpu_vector_add() says.
 *
 * Errors: -EINVAL, -ERANGE (reaches outside its object), -EACCES (to a buffer
 * registered VGPU_BUFFER_READ_ONLY), -EFAULT (NULL), -ENOMEM, -EOPNOTSUPP,
 * -ENODEV; by the fence, too, -EFAULT and what vgpu_vector_add() says.
 */
int vgpu_copy(struct vgpu_device *dev, struct vgpu_ref dst, struct vgpu_ref src,
	      uint64_t size, unsigned int stream);
int vgpu_copy_in(struct vgpu_device *dev, struct vgpu_ref dst, const void *src,
		 size_t size, unsigned int stream);
int vgpu_copy_out(struct vgpu_device *dev, void *dst, struct vgpu_ref src,
		  size_t size, unsigned int stream);

/*
 * vgpu_fill - set memory to a pattern
 *
 * @pattern:	its lowest width bytes are repeated
 * @width:	1, 2 or 4
 * @size:	bytes, a multiple of width, as is the offset
 *
 * Errors: as vgpu_copy().
 */
int vgpu_fill(struct vgpu_device *dev, struct vgpu_ref dst, uint32_t pattern,
	      unsigned int width, uint64_t size, unsigned int stream);

/*
 * vgpu_module_load - load code for the GPU, and wait until it is there
 *
 * @image, @size: PTX text, a cubin or a fat binary, as nvcc writes them; at most
 *		64 MiB. Used during the call only.
 * @log, @log_size: where the compiler's text goes, with a NUL, cut to size;
 *		NULL and 0 where it is not wanted. "" where it said nothing.
 * @mod:	out: the module, ended with vgpu_module_unload() or vgpu_close()
 *
 * Errors: -ENOEXEC (the image is none of these, or was rejected: see the log),
 * -ENXIO (the engine has no GPU and runs no code), -EINVAL, -E2BIG, -ENODEV;
 * -EMFILE, -ENOSPC, -ENOMEM, -EDQUOT as vgpu_buffer_alloc(): the image is handed
 * over in a buffer of the library's.
 */
int vgpu_module_load(struct vgpu_device *dev, const void *image, size_t size,
		     char *log, size_t log_size, struct vgpu_module **mod);

/*
 * vgpu_module_unload - end a module and all its functions
 *
 * Launches called for before go on undisturbed. NULL is allowed. Does not wait.
 * Errors: -ENOMEM, -ENODEV; mod is gone all the same.
 */
int vgpu_module_unload(struct vgpu_module *mod);

/*
 * vgpu_function_get - a kernel of a module; waits for the backend
 *
 * @name:	as in the PTX (mangled, where it is C++), at most 1,023 bytes
 * @fn:		out: the kernel; the module's, ends with it. The same one for
 *		the same name.
 *
 * Errors: -ENOENT (no such kernel), -EINVAL, -EOPNOTSUPP (it has more than 1,024
 * parameters), -EPROTO (what the backend says of them can not be), -ENOMEM,
 * -ENODEV.
 */
int vgpu_function_get(struct vgpu_module *mod, const char *name,
		      struct vgpu_function **fn);

/* vgpu_function_params - how many parameters the kernel has */
unsigned int vgpu_function_params(const struct vgpu_function *fn);

/*
 * vgpu_function_param - place of a parameter in the argument blob, and its size,
 * both in bytes. Errors: -EINVAL: i is not less than vgpu_function_params().
 */
int vgpu_function_param(const struct vgpu_function *fn, unsigned int i,
			size_t *offset, size_t *size);

/* Blocks of a grid, or threads of a block, each number at least 1. */
struct vgpu_dim {
	uint32_t x, y, z;
};

/*
 * vgpu_launch - run a kernel
 *
 * @grid, @block: blocks of the grid, threads of a block; each number at least 1
 * @shared:	bytes of dynamic shared memory of a block
 * @params:	as many pointers as the kernel has parameters, each to a value
 *		of the parameter's size; copied before the call returns. Memory
 *		of the device is passed as its address (vgpu_mem_address()).
 *
 * Waits where the ring is full, for room. Errors: -EINVAL, -ENOMEM, -ENODEV; by
 * the fence, -EDOM (sizes that the kernel or the GPU can not do; at once where a
 * number of block is above 65,535) and -EIO (the kernel faulted; the device is
 * lost).
 */
int vgpu_launch(struct vgpu_function *fn, struct vgpu_dim grid,
		struct vgpu_dim block, uint32_t shared, unsigned int stream,
		void *const *params);

/* An address to be filled in. at: bytes into the arguments, multiple of 8. */
struct vgpu_reloc {
	struct vgpu_ref ref;
	size_t at;
};

/*
 * vgpu_launch_packed - the same, with the arguments as they are passed
 *
 * @args, @len:	the argument blob, laid out as vgpu_function_param() says; copied
 * @relocs, @nr: places in it where the address of memory goes, at most 64:
 *		memory that was just allocated, without waiting for its address,
 *		or a buffer, which the kernel then reads and writes in place
 *
 * Errors: as vgpu_launch(), -ERANGE (an offset outside its object), -EACCES (a
 * buffer registered VGPU_BUFFER_READ_ONLY); by the fence, -EDOM where len is not
 * right, and -EOPNOTSUPP where the engine does not reach the buffer in place.
 */
int vgpu_launch_packed(struct vgpu_function *fn, struct vgpu_dim grid,
		       struct vgpu_dim block, uint32_t shared,
		       unsigned int stream, const void *args, size_t len,
		       const struct vgpu_reloc *relocs, unsigned int nr);

/*
 * vgpu_event_create - an event that no stream has recorded
 *
 * @ev:		out: ended with vgpu_event_destroy() or vgpu_close()
 *
 * Errors of the calls on events: -EINVAL, -ENOMEM, -ENODEV, and those named.
 */
int vgpu_event_create(struct vgpu_device *dev, struct vgpu_event **ev);

/* vgpu_event_destroy - NULL is allowed; waits for it are not disturbed */
int vgpu_event_destroy(struct vgpu_event *ev);

/* vgpu_event_record - mark the present end of a stream */
int vgpu_event_record(struct vgpu_event *ev, unsigned int stream);

/*
 * vgpu_event_wait - later work of the stream waits for the event's last mark;
 * not at all where it was never recorded. Does not wait itself.
 */
int vgpu_event_wait(struct vgpu_event *ev, unsigned int stream);

/*
 * vgpu_event_query - 0: its last mark is reached, or it has none; -EAGAIN: not
 * yet; else why it could not be recorded. Makes progress, as vgpu_process() does.
 */
int vgpu_event_query(struct vgpu_event *ev);

/* vgpu_event_synchronize - wait for the event's last mark, then as query */
int vgpu_event_synchronize(struct vgpu_event *ev);

/*
 * vgpu_event_elapsed - nanoseconds from one event's last mark to another's, by
 * the backend's clock
 *
 * Errors: -EAGAIN (one is not reached), -EINVAL (one was never recorded).
 */
int vgpu_event_elapsed(struct vgpu_event *start, struct vgpu_event *end,
		       int64_t *ns);

/*
 * Built-in kernels, on memory of the device and on buffers. Every engine has
 * them. Offsets are multiples of 4 bytes; arithmetic is IEEE 754 binary32, see
 * <xen/io/vgpuif.h> for what is exact.
 *
 * vgpu_add - c[i] = a[i] + b[i]
 * vgpu_saxpy - y[i] = fma(alpha, x[i], y[i])
 * vgpu_reduce_sum - out[0] = sum of in[i], accumulated in binary64
 *
 * @n:		elements, at most 2^32 - 1
 *
 * Errors: as vgpu_copy().
 */
int vgpu_add(struct vgpu_device *dev, struct vgpu_ref a, struct vgpu_ref b,
	     struct vgpu_ref c, size_t n, unsigned int stream);
int vgpu_saxpy(struct vgpu_device *dev, float alpha, struct vgpu_ref x,
	       struct vgpu_ref y, size_t n, unsigned int stream);
int vgpu_reduce_sum(struct vgpu_device *dev, struct vgpu_ref in,
		    struct vgpu_ref out, size_t n, unsigned int stream);

/* A matrix as BLAS has it: column-major, ld elements from column to column. */
struct vgpu_matrix {
	struct vgpu_ref ref;
	uint32_t ld;
	bool transposed; /* not for C */
};

/*
 * vgpu_sgemm - C = alpha * op(A) * op(B) + beta * C, op(A) m x k, op(B) k x n
 *
 * @m, @n, @k:	at most 2^31 - 1. With beta 0, C is not read. Each matrix spans
 *		at most 2^32 - 1 elements, its ld at least its rows as stored.
 *
 * Errors: as vgpu_copy().
 */
int vgpu_sgemm(struct vgpu_device *dev, uint32_t m, uint32_t n, uint32_t k,
	       float alpha, struct vgpu_matrix a, struct vgpu_matrix b,
	       float beta, struct vgpu_matrix c, unsigned int stream);

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
 * Returns the first failure since the stream's last fence of work that gave no
 * operation, else 0. What a vgpu_op failed with is its own result.
 *
 * Errors: -EINVAL, -ENODEV, and those of the work.
 */
int vgpu_fence(struct vgpu_device *dev, unsigned int stream);

/*
 * vgpu_fence_async - an operation that finishes when all earlier work of the
 * stream has; its result is as vgpu_fence()'s
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
