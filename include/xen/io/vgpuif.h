/* SPDX-License-Identifier: MIT */
/*
 * vgpuif.h - paravirtual GPU compute device: the wire protocol, version 1
 *
 * This header is the specification. Frontend, backend and tests are built
 * from it, and a second implementation of either side can be written from it
 * alone. It owns: what crosses the shared ring, the payload arena and the
 * granted buffers. The xenstore nodes are described here as far as the
 * negotiation needs them; their machine-readable list (writer, reader, type,
 * range, default) is xenstore-schema/vgpu.schema.
 *
 * The words "must", "must not" and "may" are meant as in RFC 2119.
 */
#ifndef __XEN_PUBLIC_IO_VGPUIF_H__
#define __XEN_PUBLIC_IO_VGPUIF_H__

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/build_bug.h>
#include <xen/interface/io/ring.h>
#include <xen/interface/grant_table.h>
#elif defined(VGPUIF_NO_RING)
/* Numbers and layouts alone, for what knows nothing of Xen: the engines. */
#include <stdint.h>
typedef uint32_t grant_ref_t;
#else
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/io/ring.h>
/*
 * ring.h leaves the barriers to its user, or, without an interface version,
 * calls names that only kernels have. x86 and Arm both have these.
 */
#undef xen_mb
#undef xen_rmb
#undef xen_wmb
#define xen_mb()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

/*
 ******************************************************************************
 *                             Protocol version
 ******************************************************************************
 */
#define VGPUIF_VERSION			1
#define VGPUIF_VERSION_STR		"1"
#define VGPUIF_LIST_SEPARATOR		" "

/* Device class: .../device/vgpu/<n> and .../backend/vgpu/<domid>/<n>. */
#define VGPUIF_CLASS			"vgpu"

/*
 ******************************************************************************
 *                  Feature and Parameter Negotiation
 ******************************************************************************
 *
 * Front->back notifications: when enqueuing requests, sending a notification
 * can be made conditional on req_event (the hold-off mechanism of the ring
 * macros). A backend must set req_event with RING_FINAL_CHECK_FOR_REQUESTS()
 * before it waits for its event channel.
 *
 * Back->front notifications: when enqueuing responses, sending a notification
 * can be made conditional on rsp_event. A frontend must set rsp_event with
 * RING_FINAL_CHECK_FOR_RESPONSES() before it waits for its event channel.
 *
 * The two halves of the device use xenstore to publish capabilities and to
 * agree on parameters. All values are strings. Numbers are decimal, without
 * sign, leading zeros or white space; a reader must refuse anything else.
 *
 ******************************************************************************
 *                        Example configuration
 ******************************************************************************
 *
 * Guest 7, first device, backend in domain 0, while connected:
 *
 *--------------------------------- Backend -----------------------------------
 *
 * /local/domain/0/backend/vgpu/7/0/frontend = "/local/domain/7/device/vgpu/0"
 * /local/domain/0/backend/vgpu/7/0/frontend-id = "7"
 * /local/domain/0/backend/vgpu/7/0/online = "1"
 * /local/domain/0/backend/vgpu/7/0/state = "4"
 * /local/domain/0/backend/vgpu/7/0/gpu = "0"
 * /local/domain/0/backend/vgpu/7/0/mem = "4294967296"
 * /local/domain/0/backend/vgpu/7/0/versions = "1"
 * /local/domain/0/backend/vgpu/7/0/ops = "nop info buffer-map buffer-unmap
 *      builtin fence mem-alloc mem-free copy fill module-load module-unload
 *      function-get launch event-record event-wait event-destroy
 *      stream-destroy ctx-destroy"
 * /local/domain/0/backend/vgpu/7/0/builtins = "vector-add saxpy sgemm reduce-sum"
 * /local/domain/0/backend/vgpu/7/0/max-ring-page-order = "4"
 * /local/domain/0/backend/vgpu/7/0/max-arena-pages = "256"
 * /local/domain/0/backend/vgpu/7/0/max-buffers = "1024"
 * /local/domain/0/backend/vgpu/7/0/max-buffer-pages = "65536"
 * /local/domain/0/backend/vgpu/7/0/max-streams = "256"
 * /local/domain/0/backend/vgpu/7/0/max-objects = "16384"
 * /local/domain/0/backend/vgpu/7/0/engine = "cuda"
 * /local/domain/0/backend/vgpu/7/0/gpu-name = "NVIDIA H200"
 * /local/domain/0/backend/vgpu/7/0/gpu-memory = "150108569600"
 * /local/domain/0/backend/vgpu/7/0/compute-capability = "9.0"
 * /local/domain/0/backend/vgpu/7/0/driver-version = "13.0"
 *
 *--------------------------------- Frontend ----------------------------------
 *
 * /local/domain/7/device/vgpu/0/backend = "/local/domain/0/backend/vgpu/7/0"
 * /local/domain/7/device/vgpu/0/backend-id = "0"
 * /local/domain/7/device/vgpu/0/state = "4"
 * /local/domain/7/device/vgpu/0/version = "1"
 * /local/domain/7/device/vgpu/0/ring-page-order = "2"
 * /local/domain/7/device/vgpu/0/ring-ref0 = "768"
 * /local/domain/7/device/vgpu/0/ring-ref1 = "769"
 * /local/domain/7/device/vgpu/0/ring-ref2 = "770"
 * /local/domain/7/device/vgpu/0/ring-ref3 = "771"
 * /local/domain/7/device/vgpu/0/event-channel = "15"
 * /local/domain/7/device/vgpu/0/arena-pages = "16"
 * /local/domain/7/device/vgpu/0/arena-ref = "772"
 *
 ******************************************************************************
 *                            Backend XenBus Nodes
 ******************************************************************************
 *
 *---------------------- Written by the toolstack (vgpuctl) -------------------
 *
 * frontend, frontend-id, online, state
 *      As for every xenbus device.
 *
 * gpu
 *      Values:         <string>
 *      Default:        "0"
 *
 *      Which GPU of the backend domain serves the device: its index, as NVML
 *      and nvidia-smi count.
 *
 * mem
 *      Values:         <uint64_t>, bytes
 *      Default:        0 (no limit but the GPU's)
 *
 *      Quota of device memory.
 *
 * weight, cap
 *      Values:         <uint16_t>
 *      Default:        256 and 0
 *
 *      As in Xen's credit scheduler: relative share of the GPU's time, and
 *      upper bound in per cent of one GPU (0: none).
 *
 *-------------------- Written by the backend before InitWait -----------------
 *
 * versions
 *      Values:         <string>
 *
 *      VGPUIF_LIST_SEPARATOR separated list of protocol versions it supports.
 *
 * max-ring-page-order
 *      Values:         <uint8_t>, 0 ... VGPUIF_MAX_RING_PAGE_ORDER
 *
 *      Largest log2 of the ring's size in pages that it maps.
 *
 * max-arena-pages
 *      Values:         <uint16_t>, 1 ... VGPUIF_MAX_ARENA_PAGES
 *
 * max-buffers
 *      Values:         <uint32_t>
 *
 *      How many guest buffers may exist at a time. Their handles lie in
 *      1 ... max-buffers.
 *
 * max-buffer-pages
 *      Values:         <uint32_t>
 *
 *      How many pages one guest buffer may have.
 *
 * max-streams
 *      Values:         <uint32_t>
 *
 *      How many streams, over all contexts, may exist at a time.
 *
 * max-objects
 *      Values:         <uint32_t>
 *
 *      How many objects of the backend (device memory, modules, functions,
 *      events), over all contexts, may exist at a time.
 *
 * ops
 *      Values:         <string>
 *
 *      VGPUIF_LIST_SEPARATOR separated names (VGPU_OP_LIST) of the operations
 *      that this backend, with this engine, carries out. All others are
 *      answered with VGPU_RSP_UNSUPPORTED, or, where they need a GPU and the
 *      engine has none (MODULE_*, FUNCTION_GET, LAUNCH), VGPU_RSP_NO_GPU.
 *
 * builtins
 *      Values:         <string>
 *
 *      The same for built-in kernels (VGPU_KERNEL_LIST).
 *
 * multi-queue-max-queues
 *      Values:         <uint16_t>
 *      Default:        1
 *
 *      Reserved: the number of rings it could serve. With more than one queue
 *      the frontend writes multi-queue-num-queues, and for each queue the
 *      ring and event channel nodes under queue-<N>/, as blkif does. Version 1
 *      knows one queue, with its nodes directly in the frontend's directory.
 *
 *------------- Facts about the GPU, by the backend before InitWait -----------
 *
 * engine
 *      Values:         "cuda", "cpu", "remote"
 *
 *      What runs the work. "cpu" is never a GPU; users must be told so.
 *
 * gpu-name, gpu-uuid, gpu-memory, compute-capability, driver-version
 *      Values:         <string>, <string>, <uint64_t> bytes, "<major>.<minor>",
 *                      <string>
 *
 *      As the engine read them from the device. gpu-uuid and
 *      compute-capability are missing where the engine has none. At most
 *      VGPU_NAME_LEN - 1 octets each.
 *
 *------------------------------ Errors ---------------------------------------
 *
 * error
 *      Values:         <string>
 *
 *      Why the backend refused or closed the device: one line of text for a
 *      person. Removed at the next InitWait.
 *
 ******************************************************************************
 *                            Frontend XenBus Nodes
 ******************************************************************************
 *
 * backend, backend-id, state
 *      Written by the toolstack, as for every xenbus device.
 *
 * version
 *      Values:         <string>
 *
 *      The one version chosen from the backend's list. Mandatory.
 *
 * ring-page-order
 *      Values:         <uint8_t>, 0 ... max-ring-page-order
 *      Default:        0
 *
 * ring-ref, ring-ref<N>
 *      Values:         <uint32_t>
 *
 *      Grant references of the ring's pages: "ring-ref" alone where
 *      ring-page-order is 0, else ring-ref0 ... ring-ref<2^order - 1>.
 *      The pages start out zeroed, with SHARED_RING_INIT() done.
 *
 * event-channel
 *      Values:         <uint32_t>
 *
 *      Unbound port allocated by the frontend for the backend's domain.
 *
 * arena-pages
 *      Values:         <uint16_t>, 1 ... max-arena-pages
 *
 *      Size of the payload arena: memory granted for as long as the device is
 *      connected, for what does not fit a slot. Requests name an offset into
 *      it in octets. Until it is Connected, the backend may write to it (it
 *      tries there whether its GPU reaches granted pages) and leaves it zeroed.
 *
 * arena-ref
 *      Values:         <uint32_t>
 *
 *      Grant of the first page directory of the arena, see struct
 *      vgpu_page_directory.
 *
 ******************************************************************************
 *                               STATE DIAGRAMS
 ******************************************************************************
 *
 * Front                                        Back
 * ------------------------------------         -----------------------------------
 * toolstack: both directories, both "1"
 *
 * XenbusStateInitialising                      XenbusStateInitialising
 *                                               o opens the engine (sanity gate)
 *                                               o writes versions, limits, facts
 *                                                        |
 *                                                        V
 *                                              XenbusStateInitWait
 *  o reads versions, limits
 *  o chooses version, ring order
 *  o grants ring and arena pages
 *  o allocates the event channel
 *  o writes its nodes
 *               |
 *               V
 * XenbusStateInitialised
 *                                               o reads the nodes once, checks them
 *                                               o maps ring, arena directory, arena
 *                                               o binds the event channel
 *                                                        |
 *                                                        V
 *                                              XenbusStateConnected
 *  o offers the device to users
 *               |
 *               V
 * XenbusStateConnected
 *
 *---------------------------- Orderly close ----------------------------------
 *
 * Either side starts it by writing XenbusStateClosing. The frontend sends no
 * request after it wrote or saw Closing.
 *
 *                                              XenbusStateClosing
 *                                               o answers everything it has read
 *                                                 (VGPU_RSP_DEVICE_LOST for what
 *                                                 it will not run)
 *                                               o unmaps all, unbinds the port
 *  o completes what is unanswered with
 *    "device lost"
 *               |
 *               V
 * XenbusStateClosing
 *                                                        |
 *                                                        V
 *                                              XenbusStateClosed
 *  o ends its grants, frees the port
 *               |
 *               V
 * XenbusStateClosed
 *
 * The frontend must not end a grant before the backend is Closed: until then
 * the backend may have it mapped.
 *
 *------------------------------- Recovery ------------------------------------
 *
 * A backend that restarts goes from Closed (or, having died, from any state)
 * to InitWait. A frontend that is Closed, or that sees InitWait while it
 * believes to be connected, completes everything in flight with "device
 * lost", ends its grants and negotiates from Initialising again. A backend
 * that finds "online" = "0" ends in Closed and does not offer itself again.
 *
 *------------------------------- Save, restore, migration ---------------------
 *
 * To the backend a restored or migrated guest is a new domain with a device
 * that is new. The frontend does as after the death of its backend: the grants
 * and ports of before are gone.
 *
 * A guest that moves while it runs is copied, and then again those pages that it
 * wrote to, or that a backend has unmapped; but not those that a backend wrote
 * to and keeps mapped. So a frontend that suspends must, when its programs are
 * stopped, write to each page that is granted read-write and whose content
 * counts. They are copied when all of the guest has stopped; what is still in
 * flight then ends with "device lost".
 *
 *------------------------------- Refusal -------------------------------------
 *
 * A backend that cannot accept what the frontend wrote (version, ring, grants,
 * port) writes "error" and goes Closing, Closed. It must stay so until the
 * frontend's state was Closed or Initialising again.
 *
 * A frontend that receives a response it cannot have asked for (see RESPONSES)
 * stops using the ring, completes everything in flight with "device lost" and
 * writes XenbusStateClosing. It may then refuse to negotiate again until it is
 * bound or attached anew.
 *
 ******************************************************************************
 *                        RULES FOR A HOSTILE PEER
 ******************************************************************************
 *
 * Each side must assume that the other one changes shared memory at any time.
 *  o A slot, directory or arena block is copied once, then checked, then used;
 *    it is never read again.
 *  o Reserved fields must be 0 and are checked (VGPU_RSP_INVALID otherwise).
 *  o A request that breaks a rule gets an error response and has no other
 *    effect. A producer index out of range is no request: the ring is broken,
 *    and the device is closed.
 *  o A failed operation may have written any part of its output operands,
 *    and nothing else.
 *  o The contents of a buffer that is in use by a request are undefined if the
 *    guest writes to it meanwhile; this must harm nobody but the guest.
 *  o Fresh pages of ring, arena and directories are zeroed by the frontend;
 *    device memory is zeroed by the backend before a guest can read it.
 *
 ******************************************************************************
 *                              LIMITS
 ******************************************************************************
 */
#define VGPUIF_MAX_RING_PAGE_ORDER	4
#define VGPUIF_MAX_ARENA_PAGES		256
#define VGPU_NAME_LEN			96
#define VGPUIF_PAGE_SIZE		4096

/*
 ******************************************************************************
 *                             OPERATIONS
 ******************************************************************************
 *
 * X(NAME, code, "name in the ops node")
 *
 * Codes 0 and 255 are never used.
 */
#define VGPU_OP_LIST(X)					\
	X(NOP,            1, "nop")			\
	X(INFO,           2, "info")			\
	X(BUFFER_MAP,     3, "buffer-map")		\
	X(BUFFER_UNMAP,   4, "buffer-unmap")		\
	X(BUILTIN,        5, "builtin")			\
	X(FENCE,          6, "fence")			\
	X(MEM_ALLOC,      7, "mem-alloc")		\
	X(MEM_FREE,       8, "mem-free")		\
	X(COPY,           9, "copy")			\
	X(FILL,          10, "fill")			\
	X(MODULE_LOAD,   11, "module-load")		\
	X(MODULE_UNLOAD, 12, "module-unload")		\
	X(FUNCTION_GET,  13, "function-get")		\
	X(LAUNCH,        14, "launch")			\
	X(EVENT_RECORD,  15, "event-record")		\
	X(EVENT_WAIT,    16, "event-wait")		\
	X(EVENT_DESTROY, 17, "event-destroy")		\
	X(STREAM_DESTROY, 18, "stream-destroy")		\
	X(CTX_DESTROY,   19, "ctx-destroy")

enum vgpu_op {
#define VGPU_OP_ENUM(name, code, str) VGPU_OP_##name = code,
	VGPU_OP_LIST(VGPU_OP_ENUM)
#undef VGPU_OP_ENUM
};

/*
 * Built-in kernels. All arithmetic is IEEE 754 binary32, round to nearest
 * even, subnormals kept. Where a result is a NaN, any quiet NaN is right.
 *
 * X(NAME, code, "name in the builtins node")
 *
 * VECTOR_ADD   c[i] = a[i] + b[i]; operands a (in), b (in), c (out), of the
 *              same count, which may be 0. param and param_len are 0.
 * SAXPY        y[i] = fma(param, x[i], y[i]); operands x (in), y (in and out),
 *              of the same count; param holds the bits of alpha. Third operand
 *              all 0.
 * SGEMM        C = alpha * op(A) * op(B) + beta * C, struct vgpu_sgemm at arena
 *              offset param, param_len octets (its size). Operands A (in), B
 *              (in), C (in and out), each with at least the elements that its
 *              shape and leading dimension span. The order of the sums and the
 *              use of fma are the engine's: |error| of an element is at most
 *              2 * (k + 2) * 2^-24 * (|alpha| * sum |a| * |b| + |beta * c|).
 * REDUCE_SUM   out[0] = sum of in[i], accumulated in binary64 in an order of
 *              the engine's, then rounded to binary32; operands in, out (count
 *              1). Third operand all 0. The sum of no elements is +0.
 * DEBUG_FAULT  faults, as a broken kernel would, to test what happens then:
 *              status FAULT, and everything else in flight DEVICE_LOST.
 *              Operands as VECTOR_ADD. Offered only where the administrator
 *              asked for it.
 */
#define VGPU_KERNEL_LIST(X)				\
	X(VECTOR_ADD, 1, "vector-add")			\
	X(SAXPY,      2, "saxpy")			\
	X(SGEMM,      3, "sgemm")			\
	X(REDUCE_SUM, 4, "reduce-sum")			\
	X(DEBUG_FAULT, 31, "debug-fault")

enum vgpu_kernel {
#define VGPU_KERNEL_ENUM(name, code, str) VGPU_KERNEL_##name = code,
	VGPU_KERNEL_LIST(VGPU_KERNEL_ENUM)
#undef VGPU_KERNEL_ENUM
};

/*
 * Status of a response.
 *
 * X(NAME, code, errno in the guest, "text")
 */
#define VGPU_STATUS_LIST(X)							   \
	X(OK,           0, 0,          "success")				   \
	X(INVALID,      1, EINVAL,     "malformed request")			   \
	X(NO_MEMORY,    2, ENOMEM,     "out of memory")				   \
	X(QUOTA,        3, EDQUOT,     "quota of the device exceeded")		   \
	X(BUSY,         4, EBUSY,      "object is in use by a request in flight")  \
	X(UNSUPPORTED,  5, EOPNOTSUPP, "not supported by this engine")		   \
	X(NO_HANDLE,    6, ENOENT,     "no such buffer, memory, module, function or event") \
	X(EXISTS,       7, EEXIST,     "handle is already in use")		   \
	X(RANGE,        8, ERANGE,     "operand reaches outside its object")	   \
	X(ACCESS,       9, EACCES,     "output operand in a read-only buffer")	   \
	X(GRANT,       10, EREMOTEIO,  "backend could not map the granted pages")  \
	X(DEVICE_LOST, 11, ENODEV,     "device lost")				   \
	X(FAULT,       12, EIO,        "work faulted on the device")		   \
	X(TIMEOUT,     13, ETIME,      "work exceeded its time limit")		   \
	X(BAD_IMAGE,   14, ENOEXEC,    "module image rejected")			   \
	X(INTERNAL,    15, EPROTO,     "backend failed internally")		   \
	X(NO_GPU,      16, ENXIO,      "needs a GPU, and this engine has none")	   \
	X(LAUNCH,      17, EDOM,       "launch does not fit the kernel or the GPU")

enum vgpu_status {
#define VGPU_STATUS_ENUM(name, code, err, text) VGPU_RSP_##name = code,
	VGPU_STATUS_LIST(VGPU_STATUS_ENUM)
#undef VGPU_STATUS_ENUM
	VGPU_RSP_MAX = VGPU_RSP_LAUNCH
};

/*
 ******************************************************************************
 *                              REQUESTS
 ******************************************************************************
 *
 * A slot of the ring has 64 octets. All fields are little-endian. Every
 * request starts with:
 *
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |        id       |   op   | flags  | 4
 * +--------+--------+--------+--------+
 * |       ctx       |     stream      | 8
 * +--------+--------+--------+--------+
 *
 * id - uint16_t, chosen by the frontend, echoed in the response. Must not be
 *      the id of another request in flight: such a request is answered with
 *      VGPU_RSP_INVALID, and the first one goes on.
 * op - uint8_t, enum vgpu_op
 * flags - uint8_t, VGPU_REQF_*; other bits must be 0
 * ctx - uint16_t, context: the owner of what the request makes or names. One
 *      per open file of the guest. A context exists from its first request to
 *      its CTX_DESTROY. An object made in one context can not be named in
 *      another one (VGPU_RSP_NO_HANDLE).
 * stream - uint16_t, stream of that context. Exists from its first request to
 *      its STREAM_DESTROY or the context's end.
 *
 * Requests on one stream take effect in the order of the ring. Streams are
 * independent of each other, but for EVENT_WAIT; responses come in any order.
 * NOP, INFO, BUFFER_MAP and BUFFER_UNMAP are carried out when the backend reads
 * them, whatever their stream.
 *
 * Handles are numbers that the frontend picks, so that nothing needs a round
 * trip to learn one. 0 is never a handle.
 *  o Guest buffers: 1 ... max-buffers, unique in the device.
 *  o Device memory: bit VGPU_HANDLE_MEM and any number below it; modules,
 *    functions and events: any number. Each of these four has its own space in
 *    each context.
 *
 * What a request makes can be named by later requests of the same stream at
 * once; by those of other streams when it is answered, or behind an EVENT_WAIT
 * for an event recorded after it. A request that comes too early, or names what
 * could not be made, gets VGPU_RSP_NO_HANDLE. What a request ends (MEM_FREE,
 * MODULE_UNLOAD, EVENT_DESTROY) can not be named by any later request, and its
 * handle may be used again at once; work that names it and came before goes on
 * undisturbed.
 *
 * Quiet requests (VGPU_REQF_QUIET) get no response. Their
 * id is not checked and may repeat. The status of the first one that failed
 * since the stream's last FENCE is that FENCE's status, see there. Their slots
 * return with a later response's "retired". With VGPU_REQF_RETIRE, too, the
 * request is answered with VGPU_RSP_OK when it is done, whatever came of it:
 * its failure is the next FENCE's all the same. Its id is one as of any request
 * that is answered. VGPU_REQF_RETIRE alone is VGPU_RSP_INVALID. Responses come
 * in any order, so a frontend must see to it that whenever the ring is full, one
 * of them is still to come.
 *
 * NOP, INFO, BUFFER_MAP, BUFFER_UNMAP, MODULE_LOAD, FUNCTION_GET, FENCE,
 * STREAM_DESTROY and CTX_DESTROY can not be quiet.
 */
#define VGPU_HANDLE_MEM			0x80000000

#define VGPU_REQF_QUIET			0x01
#define VGPU_REQF_RETIRE		0x02

#define VGPU_REQUEST_SIZE		64

/*
 * NOP - measures the ring
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                cookie             | 16
 * +--------+--------+--------+--------+
 * |              reserved             | 64
 * +--------+--------+--------+--------+
 *
 * cookie - uint64_t, comes back in the response's value
 */
struct vgpu_nop_req {
	uint64_t cookie;
	uint64_t reserved[6];
};

/*
 * INFO - facts that change, written to the arena as struct vgpu_info
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |             arena_offset          | 12
 * +--------+--------+--------+--------+
 * |                length             | 16
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * arena_offset - uint32_t, octets, multiple of 8
 * length - uint32_t, octets of room; at least sizeof(struct vgpu_info)
 *
 * Response: value is the number of octets written.
 */
struct vgpu_info_req {
	uint32_t arena_offset;
	uint32_t length;
	uint64_t reserved[6];
};

/*
 * BUFFER_MAP - make guest pages known as a buffer
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                handle             | 12
 * +--------+--------+--------+--------+
 * |                flags              | 16
 * +--------+--------+--------+--------+
 * |              directory            | 20
 * +--------+--------+--------+--------+
 * |              nr_pages             | 24
 * +--------+--------+--------+--------+
 * |             first_offset          | 28
 * +--------+--------+--------+--------+
 * |               reserved            | 32
 * +--------+--------+--------+--------+
 * |                length             | 40
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * handle - uint32_t, 1 ... max-buffers, not in use
 * flags - uint32_t, VGPU_BUF_*; other bits must be 0
 * directory - uint32_t, grant reference of the first struct
 *      vgpu_page_directory. The backend is done with all directory pages when
 *      it answers.
 * nr_pages - uint32_t, 1 ... max-buffer-pages
 * first_offset - uint32_t, octets, 0 ... 4095: where the buffer starts in its
 *      first page
 * length - uint64_t, octets, at least 1. first_offset + length must end in the
 *      last page: (nr_pages - 1) * 4096 < first_offset + length <= nr_pages *
 *      4096
 *
 * VGPU_BUF_READ_ONLY: the grants are read-only. The buffer can not hold an
 * output operand, and the hypervisor refuses the backend a writable mapping.
 */
#define VGPU_BUF_READ_ONLY		0x00000001

struct vgpu_buffer_map_req {
	uint32_t handle;
	uint32_t flags;
	uint32_t directory;
	uint32_t nr_pages;
	uint32_t first_offset;
	uint32_t reserved0;
	uint64_t length;
	uint64_t reserved[3];
};

/*
 * A page directory: one granted page, read only by the backend.
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                next               | 4
 * +--------+--------+--------+--------+
 * |               gref[0]             | 8
 * +--------+--------+--------+--------+
 * |                 ...               |
 * +--------+--------+--------+--------+
 * |              gref[1022]           | 4096
 * +--------+--------+--------+--------+
 *
 * next - grant_ref_t of the next directory page, 0 in the last one
 * gref[i] - grant_ref_t of the pages in order. Directory pages are filled: a
 *      page that is not the last one has VGPU_GREFS_PER_DIRECTORY entries.
 */
#define VGPU_GREFS_PER_DIRECTORY	1023

struct vgpu_page_directory {
	grant_ref_t next;
	grant_ref_t gref[VGPU_GREFS_PER_DIRECTORY];
};

/*
 * BUFFER_UNMAP  - the backend has nothing of the buffer mapped once it answers.
 *                 VGPU_RSP_BUSY while a request in flight uses it
 * MEM_FREE      - device memory; given back when it and everything that came
 *                 before it and names the memory are done
 * MODULE_UNLOAD - a module and its functions, in the same way
 * EVENT_RECORD  - mark the stream's present end; makes the event where there
 *                 is none of that handle, else moves it. Response: value is the
 *                 backend's clock in nanoseconds when all before it was done
 * EVENT_WAIT    - the stream goes on when the event's last mark that came before
 *                 this request is reached; at once where there is none
 * EVENT_DESTROY - forget the handle; waits for the mark are not disturbed
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                handle             | 12
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * All but BUFFER_UNMAP are ordered on their stream.
 */
struct vgpu_handle_req {
	uint32_t handle;
	uint32_t reserved0;
	uint64_t reserved[6];
};

/*
 * BUILTIN - run a built-in kernel
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |      kernel     |    param_len    | 12
 * +--------+--------+--------+--------+
 * |                param              | 16
 * +--------+--------+--------+--------+
 * |              operand[0]           | 32
 * +--------+--------+--------+--------+
 * |              operand[1]           | 48
 * +--------+--------+--------+--------+
 * |              operand[2]           | 64
 * +--------+--------+--------+--------+
 *
 * kernel - uint16_t, enum vgpu_kernel
 * param_len - uint16_t, octets of the parameter block in the arena; 0 where
 *      param is the parameter itself or there is none. The backend is done
 *      with the block when it has read the request
 * param - uint32_t, parameter, or arena offset of the parameter block
 * operand[] - as the kernel says; unused ones are all 0
 *
 * Response: time_ns is the time the engine was busy with it.
 */

/*
 * Operand: count elements of 4 octets at an offset of a buffer or of device
 * memory.
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                handle             | 4
 * +--------+--------+--------+--------+
 * |                count              | 8
 * +--------+--------+--------+--------+
 * |                offset             | 16
 * +--------+--------+--------+--------+
 *
 * handle - uint32_t, of a guest buffer, or with VGPU_HANDLE_MEM of device memory
 * count - uint32_t, elements; 0: the handle must exist all the same
 * offset - uint64_t, octets from the object's start, multiple of 4 for the
 *      sum of it and, for a guest buffer, first_offset
 *
 * An output operand that shares an octet with another operand of the request
 * must be the same range, else the result is undefined.
 */
struct vgpu_operand {
	uint32_t handle;
	uint32_t count;
	uint64_t offset;
};

#define VGPU_MAX_OPERANDS		3

struct vgpu_builtin_req {
	uint16_t kernel;
	uint16_t param_len;
	uint32_t param;
	struct vgpu_operand operand[VGPU_MAX_OPERANDS];
};

/*
 * FENCE - answered when every earlier request of its stream is done. Its
 * status is that of the first quiet request of the stream that failed since
 * the stream's last FENCE, else VGPU_RSP_OK; value is then that request's op in
 * the low 8 bits and its id in the 16 bits above them. Where there was no room
 * for a quiet request's stream, VGPU_RSP_QUOTA with value 0 is told once in its
 * context: by the next FENCE of a stream that is not there, or of the next one
 * that comes to be.
 * STREAM_DESTROY - a FENCE after which the stream is gone.
 * CTX_DESTROY - waits for all streams of the context, then frees everything
 * it owns, guest buffers included. Until it is answered, other requests of the
 * context are VGPU_RSP_BUSY.
 *
 * All of the body is reserved.
 */
struct vgpu_empty_req {
	uint64_t reserved[7];
};

/*
 * MEM_ALLOC - zeroed device memory
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                handle             | 12
 * +--------+--------+--------+--------+
 * |                flags              | 16
 * +--------+--------+--------+--------+
 * |                length             | 24
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * handle - uint32_t, with VGPU_HANDLE_MEM, not in use in the context
 * flags - uint32_t, must be 0
 * length - uint64_t, octets, at least 1; counted against mem
 *
 * Response: value is the address that kernels find it at, a multiple of 256.
 */
struct vgpu_mem_alloc_req {
	uint32_t handle;
	uint32_t flags;
	uint64_t length;
	uint64_t reserved[5];
};

/*
 * COPY - between guest buffers and device memory, in any direction
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                 dst               | 12
 * +--------+--------+--------+--------+
 * |                 src               | 16
 * +--------+--------+--------+--------+
 * |              dst_offset           | 24
 * +--------+--------+--------+--------+
 * |              src_offset           | 32
 * +--------+--------+--------+--------+
 * |                length             | 40
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * dst, src - uint32_t, handles, as in struct vgpu_operand
 * dst_offset, src_offset - uint64_t, octets, of any alignment
 * length - uint64_t, octets; 0 copies nothing. Ranges that overlap without
 *      being the same leave the result undefined
 */
struct vgpu_copy_req {
	uint32_t dst;
	uint32_t src;
	uint64_t dst_offset;
	uint64_t src_offset;
	uint64_t length;
	uint64_t reserved[3];
};

/*
 * FILL - set memory to a pattern
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                handle             | 12
 * +--------+--------+--------+--------+
 * |               pattern             | 16
 * +--------+--------+--------+--------+
 * |                width              | 20
 * +--------+--------+--------+--------+
 * |               reserved            | 24
 * +--------+--------+--------+--------+
 * |                offset             | 32
 * +--------+--------+--------+--------+
 * |                length             | 40
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * handle - uint32_t, as in struct vgpu_operand
 * pattern - uint32_t; its lowest width octets are repeated, the others are 0
 * width - uint32_t, 1, 2 or 4
 * offset, length - uint64_t, octets, multiples of width; for a guest buffer so
 *      is the sum of offset and first_offset
 */
struct vgpu_fill_req {
	uint32_t handle;
	uint32_t pattern;
	uint32_t width;
	uint32_t reserved0;
	uint64_t offset;
	uint64_t length;
	uint64_t reserved[3];
};

/*
 * MODULE_LOAD - from an image in a guest buffer
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                module             | 12
 * +--------+--------+--------+--------+
 * |                format             | 16
 * +--------+--------+--------+--------+
 * |                image              | 32
 * +--------+--------+--------+--------+
 * |                 log               | 48
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * module - uint32_t, handle, not in use in the context
 * format - uint32_t, VGPU_MODULE_*. PTX is text and needs no NUL at its end;
 *      the others are as nvcc writes them
 * image, log - operands in guest buffers, with count in octets and offset of any
 *      alignment; image 1 ... VGPU_MAX_IMAGE octets. log may be all 0. Text of
 *      the compiler, for people, is written to it with a NUL at its end, cut to
 *      its count, whether or not the image was rejected; the first octet is a
 *      NUL where the compiler had nothing to say. Where the request was refused
 *      before there was anything to compile, nothing need be written. The
 *      backend reads the image after it took the request and before it answers
 *
 * VGPU_RSP_BAD_IMAGE: the image was rejected.
 */
#define VGPU_MODULE_PTX			1
#define VGPU_MODULE_CUBIN		2
#define VGPU_MODULE_FATBIN		3

#define VGPU_MAX_IMAGE			(64U << 20)

struct vgpu_module_load_req {
	uint32_t module;
	uint32_t format;
	struct vgpu_operand image;
	struct vgpu_operand log;
	uint64_t reserved[2];
};

/*
 * FUNCTION_GET - look up a kernel of a module
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |                module             | 12
 * +--------+--------+--------+--------+
 * |               function            | 16
 * +--------+--------+--------+--------+
 * |              name_offset          | 20
 * +--------+--------+--------+--------+
 * |               name_len            | 24
 * +--------+--------+--------+--------+
 * |                params             | 40
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * module, function - uint32_t, handles; function is not in use in the context,
 *      and goes with the module
 * name_offset, name_len - uint32_t, arena octets, 1 ... VGPU_MAX_KERNEL_NAME
 *      of them, printable ASCII, no NUL. The backend is done with them when it has
 *      read the request
 * params - operand in a guest buffer, offset a multiple of 4 as in struct
 *      vgpu_operand, count in octets, or all 0: where the layout of the kernel's
 *      parameters is written, a struct vgpu_param each, as many as fit
 *
 * Response: value is the size of the argument blob in octets in the low 32
 * bits, and the number of parameters above them. VGPU_RSP_NO_HANDLE: no such
 * module, or no kernel of that name in it.
 */
#define VGPU_MAX_KERNEL_NAME		1023

struct vgpu_function_get_req {
	uint32_t module;
	uint32_t function;
	uint32_t name_offset;
	uint32_t name_len;
	struct vgpu_operand params;
	uint64_t reserved[3];
};

/*
 * A parameter: its place in the argument blob, octets.
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |      offset     |      size       | 4
 * +--------+--------+--------+--------+
 */
struct vgpu_param {
	uint16_t offset;
	uint16_t size;
};

/*
 * LAUNCH - run a kernel
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                header             | 8
 * +--------+--------+--------+--------+
 * |               function            | 12
 * +--------+--------+--------+--------+
 * |                grid               | 24
 * +--------+--------+--------+--------+
 * |     block[0]    |     block[1]    | 28
 * +--------+--------+--------+--------+
 * |     block[2]    |     args_len    | 32
 * +--------+--------+--------+--------+
 * |             args_offset           | 36
 * +--------+--------+--------+--------+
 * |                shared             | 40
 * +--------+--------+--------+--------+
 * |    nr_relocs    |     reserved    | 44
 * +--------+--------+--------+--------+
 * |               reserved            | 64
 * +--------+--------+--------+--------+
 *
 * function - uint32_t, handle
 * grid - uint32_t x 3, blocks, each at least 1
 * block - uint16_t x 3, threads, each at least 1
 * args_len - uint16_t, octets of the argument blob, laid out as the kernel's
 *      parameters (struct vgpu_param); exactly the function's size, at most
 *      VGPU_MAX_ARGS
 * args_offset - uint32_t, arena offset of the blob, a multiple of 8; 0 where
 *      args_len is. At the next multiple of 8 behind the blob follow nr_relocs
 *      relocations. The backend is done with both when it has read the request
 * shared - uint32_t, octets of dynamic shared memory
 * nr_relocs - uint16_t, 0 ... VGPU_MAX_RELOCS
 *
 * VGPU_RSP_LAUNCH: sizes that the kernel or the GPU can not do, or a blob that
 * is not of the function's size.
 *
 * A relocation: an address that the backend fills in, for memory whose address
 * the guest does not know (yet).
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |                handle             | 4
 * +--------+--------+--------+--------+
 * |        at       |     reserved    | 8
 * +--------+--------+--------+--------+
 *
 * handle - uint32_t, as in struct vgpu_operand. A guest buffer must not be
 *      read-only, and the engine must reach it in place (VGPU_RSP_UNSUPPORTED)
 * at - uint16_t, octets, a multiple of 8 with at + 8 <= args_len: where the
 *      blob has an offset into the object, uint64_t, 0 ... its length; the
 *      kernel gets the address of that octet there
 */
#define VGPU_MAX_ARGS			4096
#define VGPU_MAX_RELOCS			64

struct vgpu_launch_req {
	uint32_t function;
	uint32_t grid[3];
	uint16_t block[3];
	uint16_t args_len;
	uint32_t args_offset;
	uint32_t shared;
	uint16_t nr_relocs;
	uint16_t reserved0;
	uint32_t reserved1;
	uint64_t reserved[2];
};

struct vgpu_reloc {
	uint32_t handle;
	uint16_t at;
	uint16_t reserved0;
};

struct vgpu_request {
	uint16_t id;
	uint8_t op;
	uint8_t flags;
	uint16_t ctx;
	uint16_t stream;
	union {
		struct vgpu_nop_req nop;
		struct vgpu_info_req info;
		struct vgpu_buffer_map_req map;
		struct vgpu_handle_req handle;
		struct vgpu_builtin_req builtin;
		struct vgpu_empty_req empty;
		struct vgpu_mem_alloc_req mem_alloc;
		struct vgpu_copy_req copy;
		struct vgpu_fill_req fill;
		struct vgpu_module_load_req module_load;
		struct vgpu_function_get_req function_get;
		struct vgpu_launch_req launch;
		uint8_t octets[56];
	} u;
};

/*
 ******************************************************************************
 *                              RESPONSES
 ******************************************************************************
 *         0        1        2        3        octet
 * +--------+--------+--------+--------+
 * |        id       |   op   |reserved| 4
 * +--------+--------+--------+--------+
 * |      status     |     retired     | 8
 * +--------+--------+--------+--------+
 * |               time_ns             | 16
 * +--------+--------+--------+--------+
 * |                value              | 24
 * +--------+--------+--------+--------+
 * |               reserved            | 32
 * +--------+--------+--------+--------+
 *
 * id - uint16_t, of the request
 * op - uint8_t, of the request
 * status - uint16_t, enum vgpu_status
 * retired - uint16_t, how many of the slots right behind this one are void:
 *      each stands for a quiet request that is done
 * time_ns - uint64_t, nanoseconds the engine was busy with the request, 0
 *      where it does not apply
 * value - uint64_t, as the operation says, else 0
 *
 * A frontend must check: the producer index (RING_RESPONSE_PROD_OVERFLOW), id
 * in range and in flight, op as sent, status at most VGPU_RSP_MAX, retired at
 * most the number of quiet requests outstanding. Anything else is a broken
 * peer, see "Refusal".
 */
struct vgpu_response {
	uint16_t id;
	uint8_t op;
	uint8_t reserved0;
	uint16_t status;
	uint16_t retired;
	uint64_t time_ns;
	uint64_t value;
	uint64_t reserved;
};

/*
 * The answer to INFO. Unknown values are 0.
 *
 * mem_total, mem_free - octets of the GPU's memory
 * mem_quota, mem_used - octets: this device's quota (0: none) and use
 * requests - requests of this device read since it connected
 * errors - of these, done with a status other than VGPU_RSP_OK
 * busy_ns - nanoseconds in which the engine had work of this device
 * temperature_mc - GPU temperature in millidegrees Celsius
 * power_mw - GPU power in milliwatts
 * utilization - GPU utilisation in per cent, 0 ... 100
 * nr_buffers - guest buffers of this device
 * nr_objects - device memory, modules, functions and events of this device
 * launches - kernels run by LAUNCH since it connected
 */
struct vgpu_info {
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
	uint32_t nr_buffers;
	uint32_t nr_objects;
	uint32_t reserved0;
	uint64_t launches;
	uint64_t reserved[5];
};

/*
 * Parameter block of VGPU_KERNEL_SGEMM: C = alpha * op(A) * op(B) + beta * C,
 * column-major as in BLAS. op(A) is m x k, op(B) k x n, C m x n. With beta 0, C
 * is not read.
 *
 * m, n, k - uint32_t, each at most 2^31 - 1; 0 where there is nothing to do, but
 *      C = beta * C with k = 0
 * lda, ldb, ldc - uint32_t, elements from one column to the next, at least 1 and
 *      at least the rows of A, B (as stored) and C, at most 2^31 - 1
 * alpha, beta - uint32_t, bits of a binary32
 * trans_a, trans_b - uint32_t, 0, or 1: A or B is stored transposed
 */
struct vgpu_sgemm {
	uint32_t m, n, k;
	uint32_t lda, ldb, ldc;
	uint32_t alpha, beta;
	uint32_t trans_a, trans_b;
};

/*
 ******************************************************************************
 *                     LAYOUT, HELD BY THE COMPILER
 ******************************************************************************
 */
#ifdef __KERNEL__
#define VGPUIF_ASSERT(e)		static_assert(e)
#define VGPUIF_OFFSETOF(t, m)		__builtin_offsetof(t, m)
#else
#define VGPUIF_ASSERT(e)		_Static_assert(e, #e)
#define VGPUIF_OFFSETOF(t, m)		__builtin_offsetof(t, m)
#endif
#define VGPUIF_AT(m, o)	\
	VGPUIF_ASSERT(VGPUIF_OFFSETOF(struct vgpu_request, m) == (o))
#define VGPUIF_RSP_AT(m, o) \
	VGPUIF_ASSERT(VGPUIF_OFFSETOF(struct vgpu_response, m) == (o))

VGPUIF_ASSERT(sizeof(struct vgpu_request) == VGPU_REQUEST_SIZE);
VGPUIF_ASSERT(sizeof(struct vgpu_response) == 32);
VGPUIF_ASSERT(sizeof(struct vgpu_operand) == 16);
VGPUIF_ASSERT(sizeof(struct vgpu_info) == 128);
VGPUIF_ASSERT(sizeof(struct vgpu_sgemm) == 40);
VGPUIF_ASSERT(sizeof(struct vgpu_param) == 4);
VGPUIF_ASSERT(sizeof(struct vgpu_reloc) == 8);
VGPUIF_ASSERT(sizeof(struct vgpu_page_directory) == VGPUIF_PAGE_SIZE);
VGPUIF_ASSERT(sizeof(struct vgpu_nop_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_info_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_buffer_map_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_handle_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_builtin_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_empty_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_mem_alloc_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_copy_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_fill_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_module_load_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_function_get_req) == 56);
VGPUIF_ASSERT(sizeof(struct vgpu_launch_req) == 56);
VGPUIF_AT(op, 2);
VGPUIF_AT(flags, 3);
VGPUIF_AT(ctx, 4);
VGPUIF_AT(stream, 6);
VGPUIF_AT(u.nop.cookie, 8);
VGPUIF_AT(u.info.arena_offset, 8);
VGPUIF_AT(u.info.length, 12);
VGPUIF_AT(u.map.handle, 8);
VGPUIF_AT(u.map.flags, 12);
VGPUIF_AT(u.map.directory, 16);
VGPUIF_AT(u.map.nr_pages, 20);
VGPUIF_AT(u.map.first_offset, 24);
VGPUIF_AT(u.map.length, 32);
VGPUIF_AT(u.handle.handle, 8);
VGPUIF_AT(u.builtin.kernel, 8);
VGPUIF_AT(u.builtin.param_len, 10);
VGPUIF_AT(u.builtin.param, 12);
VGPUIF_AT(u.builtin.operand, 16);
VGPUIF_AT(u.mem_alloc.length, 16);
VGPUIF_AT(u.copy.dst_offset, 16);
VGPUIF_AT(u.copy.src_offset, 24);
VGPUIF_AT(u.copy.length, 32);
VGPUIF_AT(u.fill.offset, 24);
VGPUIF_AT(u.fill.length, 32);
VGPUIF_AT(u.module_load.image, 16);
VGPUIF_AT(u.module_load.log, 32);
VGPUIF_AT(u.function_get.name_offset, 16);
VGPUIF_AT(u.function_get.params, 24);
VGPUIF_AT(u.launch.grid, 12);
VGPUIF_AT(u.launch.block, 24);
VGPUIF_AT(u.launch.args_len, 30);
VGPUIF_AT(u.launch.args_offset, 32);
VGPUIF_AT(u.launch.shared, 36);
VGPUIF_AT(u.launch.nr_relocs, 40);
VGPUIF_RSP_AT(op, 2);
VGPUIF_RSP_AT(status, 4);
VGPUIF_RSP_AT(retired, 6);
VGPUIF_RSP_AT(time_ns, 8);
VGPUIF_RSP_AT(value, 16);

#ifndef VGPUIF_NO_RING
/* struct vgpu_sring, vgpu_front_ring, vgpu_back_ring */
DEFINE_RING_TYPES(vgpu, struct vgpu_request, struct vgpu_response);
#endif

#endif /* __XEN_PUBLIC_IO_VGPUIF_H__ */
