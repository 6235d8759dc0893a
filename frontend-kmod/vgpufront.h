/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vgpufront.h - the module's own structures and the calls between its files
 *
 * Locks, in the order in which they are taken:
 *   vgf_ctx.reap_lock > mmap_lock (the kernel's, in a page fault)
 *   vgf_dev.life	mutex: setting up and taking down the connection, every use
 *			of xbdev, the facts
 *   vgf_dev.lock	spinlock, taken with interrupts off: the ring, what is in
 *			flight, contexts, buffer tables and states, statistics
 *
 * README.md tells how devices, contexts and buffers come and go.
 */
#ifndef VGPUFRONT_H
#define VGPUFRONT_H

#include <linux/interrupt.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <xen/grant_table.h>
#include <xen/xenbus.h>
#include <uapi/vgpufront.h>
#include "vgpufront_parse.h"
#include "vgpufront_ring.h"
#include "vgpufront_sqe.h"

#define VGF_NAME		"vgpufront"

/* The ring that is asked for: 16 KiB, 128 slots. */
#define VGF_RING_PAGE_ORDER	2
#define VGF_ARENA_PAGES		32

/* Slots that only the module's own requests may take. */
#define VGF_RESERVED_SLOTS	2

/*
 * Wire ids of contexts start above every status. The request of a slot that
 * the backend published without writing a response then reads as a response
 * with an unknown status, and not as success.
 */
#define VGF_FIRST_CTX		256
#define VGF_LAST_CTX		65535

/* Bits of mmap_offset below the buffer's handle. */
#define VGF_MMAP_SHIFT		34

/* Upper bounds for what a backend may offer. */
#define VGF_MAX_BUFFER_PAGES	(1U << 20)
#define VGF_MAX_WIRE_BUFFERS	65535U

#define VGF_LATENCY_BUCKETS	32

/* Negotiations in a row that failed before the device gives up. */
#define VGF_MAX_ATTEMPTS	3

struct vgf_dev;
struct vgf_ctx;
struct vgf_buffer;

/*
 * A request of the module's own. done() runs under vgf_dev.lock, mostly in
 * the interrupt, with the checked response, or with one made up on the loss
 * of the device.
 */
struct vgf_ctl {
	void (*done)(struct vgf_dev *vgf, struct vgf_ctl *ctl,
		     const struct vgpu_response *rsp);
};

/* What a ring id in flight stands for. */
struct vgf_inflight {
	struct vgf_ctl *ctl;	/* the module's own request, or: */
	struct vgf_ctx *ctx;	/* a user's request of this context */
	u64 user_data;
	__u64 held[VGPUFRONT_HELD_WORDS];	/* of ctx's buffers */
	ktime_t start;
	u32 mark;		/* of vgf_dev.blocks */
	u16 ctx_id;
	bool quiet;		/* answered, but makes no completion */
};

/* Grants of an array of pages, and of the directory pages that list them. */
struct vgf_grants {
	unsigned int nr_pages;
	unsigned int nr_dirs;
	struct page **pages;	/* the caller's; NULL: claimed, not granted */
	struct page **dirs;
	grant_ref_t *refs;	/* of the pages, then of the directories */
};

/*
 * NEW      granted, the backend does not know
 * MAPPING  BUFFER_MAP in flight
 * MAPPED   in use
 * UNMAPPING BUFFER_UNMAP in flight
 * ENDED    the backend answered that it has nothing mapped
 * STALE    the device was lost; the backend may have it mapped
 * RELEASING one thread ends the grants
 * RELEASED no grant left
 *
 *   NEW -> MAPPING -> MAPPED -> UNMAPPING -> ENDED -> RELEASING -> RELEASED
 *             |         |           |                     ^
 *             |         +-- lost ---+-> STALE -- closed --+
 *             +-> ENDED (refused)
 */
enum vgf_buffer_state {
	VGF_BUF_NEW,
	VGF_BUF_MAPPING,
	VGF_BUF_MAPPED,
	VGF_BUF_UNMAPPING,
	VGF_BUF_ENDED,
	VGF_BUF_STALE,
	VGF_BUF_RELEASING,
	VGF_BUF_RELEASED,
};

struct vgf_buffer {
	struct kref kref;	/* the table's, and each running call's */
	struct vgf_ctx *ctx;	/* outlives the buffer's place in its table */
	struct list_head node;	/* vgf_dev.buffers, while granted */
	struct vgf_ctl ctl;
	enum vgf_buffer_state state;
	u16 status;		/* of the last answer */
	bool read_only;
	bool published;		/* the program may know its handle */
	bool freeing;		/* must not be named by new requests */
	bool background;	/* the reclaim work drives it to its end */
	bool drop;		/* whoever releases it takes it off the table */
	bool handle_lost;	/* the backend would not give the handle back */
	unsigned int slot;	/* in vgf_ctx.bufs */
	unsigned int handle;	/* on the wire; 0 before it has one */
	unsigned int in_use;	/* by user requests in flight: not released */
	u32 generation;
	u32 first_offset;
	u64 length;
	unsigned int nr_pages;
	struct page **pages;
	struct mm_struct *mm;	/* whose memory is pinned; NULL: own pages */
	struct vgf_grants grants;
};

/* One open file. Freed by the reclaim work, after the file is closed. */
struct vgf_ctx {
	struct vgf_dev *vgf;
	struct list_head node;	/* vgf_dev.contexts or .dying */
	struct list_head wake_node;	/* vgf_dev.wake_list */
	struct vgf_ctl ctl;	/* CTX_DESTROY */
	wait_queue_head_t wq;	/* completions, loss */
	struct mutex reap_lock;	/* one thread copies completions out */
	u16 id;
	bool lost;
	bool wants_room;	/* its poll() found the ring full */
	bool on_wire;		/* the backend has heard of it */
	bool destroying;
	bool destroyed;
	u32 generation;
	unsigned int nr_inflight;	/* user requests to be completed */
	unsigned int nr_quiet;	/* quiet ones to be answered */
	unsigned int nr_bufs;
	struct vgf_buffer *bufs[VGPUFRONT_MAX_BUFFERS];
	unsigned int cqe_head;	/* oldest not reaped */
	unsigned int nr_cqes;
	struct vgpufront_cqe *cqes;	/* VGPUFRONT_MAX_REQUESTS */
};

/* A submitter that waits for ring space; first come, first served. */
struct vgf_turn {
	struct list_head node;
	bool queued;
	u32 payload;		/* octets that its request needs in the arena */
};

/* How long a call may wait. */
struct vgf_wait {
	bool allowed;
	ktime_t deadline;	/* KTIME_MAX: none */
};

struct vgf_stats {
	u64 requests;
	u64 responses;
	u64 quiet;		/* of requests: without an answer */
	u64 retired;		/* of quiet: slots back */
	u64 notify_sent;
	u64 notify_suppressed;
	u64 irqs;
	u64 irqs_spurious;
	u64 protocol_errors;
	u64 unmap_errors;
	u64 latency[VGF_LATENCY_BUCKETS];	/* [i]: 2^i <= ns < 2^(i+1) */
};

/* What the backend published; read once for each connection. */
struct vgf_facts {
	char engine[VGPUFRONT_TEXT_LEN];
	char gpu_name[VGPUFRONT_TEXT_LEN];
	char gpu_uuid[VGPUFRONT_TEXT_LEN];
	char compute_capability[VGPUFRONT_TEXT_LEN];
	char driver_version[VGPUFRONT_TEXT_LEN];
	char ops[4 * VGPUFRONT_TEXT_LEN];
	char builtins[2 * VGPUFRONT_TEXT_LEN];
	u64 gpu_memory;
	unsigned int ring_page_order;
	unsigned int arena_pages;
	unsigned int max_buffers;
	unsigned int max_buffer_pages;
	bool ctx_destroy;	/* the backend carries out CTX_DESTROY */
};

struct vgf_dev {
	struct kref kref;	/* xenbus device, contexts, queued reclaim_work */
	struct list_head node;	/* vgpufront_main.c's list of devices */
	unsigned int devid;
	char name[32];
	struct work_struct reclaim_work;
	struct work_struct broken_work;

	/* Under life. */
	struct mutex life;
	struct xenbus_device *xbdev;	/* NULL once removed */
	struct miscdevice misc;
	bool misc_registered;
	bool shutdown;		/* the guest is going down: stay closed */
	unsigned int attempts;
	struct vgf_facts facts;
	bool linked;		/* ring, arena and event channel exist */
	void *ring_pages;
	unsigned int nr_ring_pages;
	grant_ref_t ring_refs[1 << VGPUIF_MAX_RING_PAGE_ORDER];
	struct page **arena;
	struct vgf_grants arena_grants;
	evtchn_port_t evtchn;
	struct dentry *debugfs;

	/* Under lock. */
	spinlock_t lock;
	bool up;
	u32 state;		/* VGPUFRONT_STATE_* */
	u32 generation;
	u32 settled;		/* last generation that the backend closed */
	unsigned int irq;
	domid_t domid;
	u32 max_buffer_pages;
	bool ctx_destroy;
	struct vgpufront_ring ring;
	struct vgpufront_arena blocks;	/* of payload, in the arena */
	struct vgf_inflight inflight[VGPUFRONT_MAX_SLOTS];
	unsigned int max_buffers;
	unsigned long *handles;	/* wire handles in use, max_buffers + 1 bits */
	struct list_head contexts;
	struct list_head dying;	/* contexts whose file is closed */
	struct list_head buffers;	/* all that are granted */
	unsigned int nr_background;	/* of these, left to reclaim_work */
	struct list_head turns;
	struct list_head wake_list;
	bool room_wanted;	/* by some context */
	struct vgf_stats stats;

	struct ida ctx_ids;
	wait_queue_head_t wq;	/* ring space, the module's own requests */
	atomic_t grants_in_use;
	atomic_t grants_kept;	/* still mapped when they should have ended */
};

extern struct workqueue_struct *vgf_wq;

/* vgpufront_main.c */
void vgf_dev_put(struct vgf_dev *vgf);
static inline void vgf_dev_get(struct vgf_dev *vgf)
{
	kref_get(&vgf->kref);
}

/* vgpufront_facts.c */
int vgf_facts_read(struct vgf_dev *vgf, struct vgf_facts *facts);
/* Where blocks of payload begin: behind one for INFO for each ring id. */
static inline u32 vgf_blocks_base(const struct vgf_facts *facts)
{
	return vgpufront_ring_slots(PAGE_SIZE << facts->ring_page_order) *
	       sizeof(struct vgpu_info);
}

/* vgpufront_link.c: under life */
int vgf_link_setup(struct vgf_dev *vgf);
int vgf_link_up(struct vgf_dev *vgf);
void vgf_link_down(struct vgf_dev *vgf, u32 state);
void vgf_link_settle(struct vgf_dev *vgf);

/* vgpufront_io.c: under lock */
void vgf_put(struct vgf_dev *vgf, struct vgpu_request *req,
	     const struct vgf_inflight *what);
void vgf_push(struct vgf_dev *vgf);
int vgf_ctl_send(struct vgf_dev *vgf, struct vgf_ctx *ctx,
		 struct vgpu_request *req, struct vgf_ctl *ctl);
void vgf_fail_all(struct vgf_dev *vgf);
void vgf_wake(struct vgf_dev *vgf);
void vgf_kick(struct vgf_dev *vgf);
irqreturn_t vgf_interrupt(int irq, void *data);
int vgf_status_errno(u16 status);

/* vgpufront_grant.c: may sleep */
struct page **vgf_pages_alloc(unsigned int nr);
void vgf_pages_free(struct page **pages, unsigned int nr);
int vgf_grants_claim(struct vgf_grants *g, unsigned int nr);
void vgf_grants_make(struct vgf_dev *vgf, struct vgf_grants *g, domid_t domid,
		     struct page **pages, bool read_only);
void vgf_grants_end_dirs(struct vgf_dev *vgf, struct vgf_grants *g);
void vgf_grants_end(struct vgf_dev *vgf, struct vgf_grants *g);
static inline grant_ref_t vgf_grants_first_dir(const struct vgf_grants *g)
{
	return g->refs[g->nr_pages];
}

/* vgpufront_buffer.c */
long vgf_buffer_alloc(struct vgf_ctx *ctx, struct vgpufront_buffer_alloc *arg);
long vgf_buffer_register(struct vgf_ctx *ctx,
			 struct vgpufront_buffer_register *arg);
long vgf_buffer_free(struct vgf_ctx *ctx, u32 handle);
void vgf_buffer_discard(struct vgf_ctx *ctx, u32 handle);
struct vgf_buffer *vgf_buffer_find(struct vgf_ctx *ctx, u32 handle);
bool vgf_buffer_target(void *ctx, u32 handle, struct vgpufront_target *out);
void vgf_buffers_use(struct vgf_ctx *ctx, const __u64 *held, int by);
bool vgf_buffer_drop(struct vgf_dev *vgf, struct vgf_buffer *buf);
bool vgf_buffer_step(struct vgf_dev *vgf, struct vgf_buffer *buf);
void vgf_buffer_put(struct vgf_buffer *buf);
void vgf_buffer_release(struct vgf_dev *vgf, struct vgf_buffer *buf);

/* vgpufront_pin.c */
int vgf_pin(struct vgf_buffer *buf, u64 addr);
void vgf_unpin(struct vgf_buffer *buf);

/* vgpufront_ctx.c */
struct vgf_ctx *vgf_ctx_open(struct vgf_dev *vgf);
void vgf_ctx_close(struct vgf_ctx *ctx);
void vgf_ctx_complete(struct vgf_ctx *ctx, u64 user_data, int result,
		      const struct vgpu_response *rsp);
void vgf_reclaim(struct work_struct *work);
static inline unsigned int vgf_ctx_outstanding(const struct vgf_ctx *ctx)
{
	return ctx->nr_inflight + ctx->nr_cqes;
}

/* vgpufront_suspend.c: in the xenwatch thread */
void vgf_suspend(struct vgf_dev *vgf);
void vgf_begin_anew(struct vgf_dev *vgf);

/* vgpufront_submit.c */
bool vgf_may_put(struct vgf_dev *vgf, const struct vgf_turn *turn);
int vgf_submit(struct vgf_ctx *ctx, struct vgpufront_enter *arg,
	       const struct vgf_wait *wait);

/* vgpufront_queue.c */
ktime_t vgf_time_left(const struct vgf_wait *wait);
long vgf_enter(struct vgf_ctx *ctx, struct vgpufront_enter *arg,
	       bool nonblock);

/* vgpufront_info.c */
long vgf_info(struct vgf_ctx *ctx, struct vgpufront_info *info);

/* vgpufront_chardev.c */
extern const struct file_operations vgf_fops;

/* vgpufront_debugfs.c */
void vgf_debugfs_init(void);
void vgf_debugfs_exit(void);
void vgf_debugfs_add(struct vgf_dev *vgf);
void vgf_debugfs_remove(struct vgf_dev *vgf);

#endif /* VGPUFRONT_H */
