/* SPDX-License-Identifier: MIT */
/*
 * engine_remote.h - the parts of the remote engine
 *
 *   engine_remote.c          opens and closes it; what its caller calls
 *   engine_remote_jobs.c     jobs and their streams, what is finished
 *   engine_remote_parts.c    parts of jobs, taken and answered
 *   engine_remote_plan.c     which steps a job takes, which jobs must wait
 *   engine_remote_frames.c   a part as a frame, and what its answer is good for
 *   engine_remote_numbers.c  numbers of memory, modules and functions
 *   engine_remote_io.c       the I/O thread: parts out, breaks
 *   engine_remote_answers.c  what comes in
 *   engine_remote_link.c     connects and shakes hands
 *
 * Two threads: the caller's, and the I/O thread. The I/O thread alone has the
 * link and the slots once the engine is open. The lock guards jobs, streams,
 * numbers and the flags; it is never held while something is waited for or
 * copied.
 */
#ifndef VGPU_CUDA_ENGINE_REMOTE_H
#define VGPU_CUDA_ENGINE_REMOTE_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "remote.h"
#include "remote_frame.h"
#include "wire.h"

/* The I/O thread's, or the opener's before there is one. */
struct remote_link {
	int fd;				/* -1: no connection */
	uint32_t window;
	uint64_t capabilities;
	uint8_t nonce[REMOTE_NONCE];	/* of the session */
	struct vgpu_engine_facts facts;
	struct vgpu_engine_info info;
	struct remote_in in;
	struct remote_out out;
	_Alignas(16) unsigned char payload[REMOTE_PAYLOAD_MAX];
};

/*
 * Connects and shakes hands. Gives up at the deadline (of remote_now_ms(), 0:
 * none but those in times), and when stop_fd becomes readable. False with one
 * line in why.
 */
bool remote_link_open(struct remote_link *link,
		      const struct remote_address *addr,
		      const struct remote_times *times, uint64_t deadline,
		      int stop_fd, char why[VGPU_ENGINE_WHY]);
void remote_link_close(struct remote_link *link);

enum remote_step_kind {
	STEP_NONE,	/* the job does not need this one */
	STEP_LOCAL,	/* copies and fills in host memory: no frame */
	STEP_ADD,	/* a vector add with its data */
	STEP_ALLOC,	/* memory there for an operand that is here */
	STEP_IN,	/* host memory to memory there */
	STEP_OUT,	/* and back */
	STEP_IMAGE,	/* of a module */
	STEP_WHOLE,	/* the job itself, in one frame */
};

/* The steps of a job follow each other; each is cut into parts. */
#define REMOTE_STEPS		10

struct remote_step {
	enum remote_step_kind kind;
	unsigned int operand;		/* of ALLOC, IN, OUT */
	uint64_t total;			/* elements of ADD; octets; or 1 */
	uint64_t part;			/* of these in a part, at most */
};

/* Of the job at the stream's `next`, while it is runnable, from step on. */
struct vgpu_engine_stream {
	struct vgpu_job *head, *tail;
	struct vgpu_job *next;		/* the first one not begun */
	unsigned int nr_begun;		/* those before it */
	uint32_t number;		/* in frames */
	bool runnable;
	struct vgpu_engine_stream *next_runnable;
	bool advancing;			/* on the list of those to look at */
	struct vgpu_engine_stream *next_advancing;
	unsigned int step;
	struct remote_step now;		/* the same, worked out */
	uint64_t taken;			/* of it: given to slots */
	uint32_t temp[VGPU_ENGINE_OPERANDS]; /* memory that the job borrows */
};

/* A part that is on its way. Its data stays until the answer is there. */
struct remote_slot {
	struct vgpu_engine_stream *stream;	/* NULL: the slot is free */
	struct vgpu_job *job;
	struct remote_step step;
	uint64_t first;
	uint64_t count;
	uint32_t temp[VGPU_ENGINE_OPERANDS];
	uint16_t refused;		/* why it is not sent, or OK */
	uint64_t id;
	uint64_t since;			/* taken from its job, ms */
	unsigned int tries;
	bool sent;
	struct remote_job frame;
	size_t octets;			/* of data */
	unsigned char *data;		/* REMOTE_SLOT_OCTETS */
};

#define REMOTE_SLOT_OCTETS	(REMOTE_DATA_MAX + 64)

/* of: what has the number: 0: nothing; a function's module, else any. */
struct remote_numbers {
	uint32_t hint;
	uint16_t first_freed, last_freed;	/* 0: none waits for its FREE */
	struct {
		uint16_t of;
		uint16_t next_freed;
	} at[REMOTE_NUMBERS];
};

struct remote_engine {
	struct vgpu_engine base;
	struct remote_address addr;
	struct remote_times times;
	struct vgpu_engine_facts facts;
	bool tells;			/* it answers INFO */
	int fd;				/* announces finished jobs */
	int wake;			/* wakes the I/O thread */
	pthread_t thread;

	/* The I/O thread's. */
	struct remote_link *link;
	struct remote_slot slot[REMOTE_WINDOW_MAX];
	unsigned int window, nr_busy;
	unsigned char *memory;		/* of the slots */
	uint64_t next_id;
	uint64_t heard;			/* when the link last moved, ms */
	uint64_t broken;		/* since when nothing is answered; 0 */
	unsigned int retry;		/* next wait before connecting, ms */
	bool pinged;			/* and no PONG yet */
	bool ping_out, info_out;	/* the last one has been written */
	bool ended;			/* the far engine is of no use */
	uint64_t info_sent;		/* the last of info_asked sent */

	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t info_came;
	bool stop;
	bool up;			/* connected */
	bool lost;			/* for good */
	bool sleeping;			/* the I/O thread looks at wake */
	bool armed;			/* the next job to finish is announced */
	bool announced;			/* the eventfd counts 1 */
	uint64_t info_asked, info_answered;
	struct vgpu_engine_info info;
	uint32_t next_stream;
	struct vgpu_engine_stream *first_runnable, *last_runnable;
	struct vgpu_engine_stream *first_advancing;
	struct vgpu_job *first_done, *last_done;
	const struct vgpu_job *loading;	/* whose image is on its way */
	unsigned int nr_kept;		/* what would go with the session */
	struct remote_numbers numbers[REMOTE_NR_KINDS];
};

uint64_t remote_now_ms(void);

/* False, with what is wrong in why. */
static inline bool remote_broken(char why[VGPU_ENGINE_WHY], const char *what)
{
	snprintf(why, VGPU_ENGINE_WHY, "%s", what);
	return false;
}

static inline bool remote_broken_errno(char why[VGPU_ENGINE_WHY],
				       const char *what)
{
	snprintf(why, VGPU_ENGINE_WHY, "%s: %s", what, strerror(errno));
	return false;
}

/* engine_remote_jobs.c, from the caller's thread */
struct vgpu_engine_stream *remote_stream_create(struct vgpu_engine *eng);
void remote_stream_destroy(struct vgpu_engine *eng,
			   struct vgpu_engine_stream *stream);
void remote_submit(struct vgpu_engine *eng, struct vgpu_job *job);
struct vgpu_job *remote_reap(struct vgpu_engine *eng);
bool remote_arm(struct vgpu_engine *eng);

/* The lock is held: the I/O thread is to look at what changed. */
void remote_kick(struct remote_engine *eng);

/*
 * A job's priv: how many of its parts have no answer, and whether it keeps
 * something at the far end while it is begun.
 */
#define REMOTE_JOB_PARTS	0xffffffu
#define REMOTE_JOB_KEEPS	0x1000000u

static inline uintptr_t remote_job_state(const struct vgpu_job *job)
{
	return (uintptr_t)job->priv;
}

static inline void remote_set_job_state(struct vgpu_job *job, uintptr_t state)
{
	job->priv = (void *)state;
}

/* The same file, for engine_remote_parts.c; the lock is held. */

void remote_put_runnable(struct remote_engine *eng,
			 struct vgpu_engine_stream *stream);
void remote_take_runnable(struct remote_engine *eng,
			  struct vgpu_engine_stream *stream);
/* The first step that the job takes from stream->step on. False: there is none. */
bool remote_find_step(struct vgpu_engine_stream *stream);
/* Who holds the lock comes to remote_advance() before letting go. */
void remote_put_advancing(struct remote_engine *eng,
			  struct vgpu_engine_stream *stream);
/* Gets the streams going that were put so. */
void remote_advance(struct remote_engine *eng);

/* engine_remote_parts.c, from the I/O thread */

/* Is there a part to take? The lock is held. */
bool remote_may_take(const struct remote_engine *eng);
/* Puts the next part into a free slot. False: there is none. */
bool remote_take_part(struct remote_engine *eng, struct remote_slot *slot);
/* Frees the slot. Its output has been written where status is OK. */
void remote_part_done(struct remote_engine *eng, struct remote_slot *slot,
		      uint16_t status, uint64_t time_ns);
/* From now on all jobs end with DEVICE_LOST, those of the slots first. */
void remote_lose(struct remote_engine *eng);

/* engine_remote_plan.c: of a job alone, on any thread */

/* VGPU_RSP_OK, or why a job is none for this engine. */
uint16_t remote_check(const struct remote_engine *eng,
		      const struct vgpu_job *job);
/* Nothing is to be done for a job that is right. */
bool remote_is_nothing(const struct vgpu_job *job);
/* It needs memory there for operands that are here. */
bool remote_borrows(const struct vgpu_job *job);
struct remote_step remote_step(const struct vgpu_job *job, unsigned int step);
/* Elements of a built-in kernel's operand that it works on. */
uint64_t remote_elements(const struct vgpu_job *job, unsigned int operand);
/* It reads host memory that the one before it writes to. */
bool remote_depends(const struct vgpu_job *job, const struct vgpu_job *before);
/* For a MODULE_LOAD: whatever comes of it, there is no text of another one. */
void remote_empty_log(const struct vgpu_job *job);
/* Carries out octets first ... first + count - 1 of a STEP_LOCAL. */
void remote_do_local(const struct vgpu_job *job, uint64_t first, uint64_t count);

/* engine_remote_frames.c, from the I/O thread */

/* Makes frame and data of a part. VGPU_RSP_OK, or why it cannot be sent. */
uint16_t remote_make_frame(struct remote_slot *slot);
/*
 * Writes what the answer has to where it belongs; data has no mark any more.
 * False with why: no honest server says that.
 */
bool remote_take_done(struct remote_slot *slot, const struct remote_done *done,
		      const unsigned char *data, size_t octets,
		      char why[VGPU_ENGINE_WHY]);

/* engine_remote_numbers.c; the lock is held unless it says otherwise */

/* 0: all are taken. of: not 0. */
uint16_t remote_number_take(struct remote_numbers *numbers, uint16_t of);
/* Nothing there has to be freed for it. */
void remote_number_give(struct remote_numbers *numbers, uint16_t number);
/* Taken until its FREE has been queued. */
void remote_number_free(struct remote_numbers *numbers, uint16_t number);
/* Some wait for their FREE. */
bool remote_frees_wait(const struct remote_engine *eng);
/* Without the lock, too; the I/O thread. */
bool remote_frees_have_room(const struct remote_engine *eng);
/* Queues FREEs as far as there is room. Without the lock, the I/O thread. */
void remote_send_frees(struct remote_engine *eng);
/* The session is over: there is nothing to be freed any more. */
void remote_forget_frees(struct remote_engine *eng);

void remote_mem_free(struct vgpu_engine *eng, struct vgpu_engine_mem *mem);
void remote_module_unload(struct vgpu_engine *eng,
			  struct vgpu_engine_module *module);

/* Numbers lie in the objects' priv. */
static inline uint16_t remote_number(const void *priv)
{
	return (uint16_t)(uintptr_t)priv;
}

/* engine_remote_answers.c: reads what is there. False with why: broken. */
bool remote_read_in(struct remote_engine *eng, char why[VGPU_ENGINE_WHY]);

/* engine_remote_io.c */
void *remote_io_thread(void *eng);

#endif /* VGPU_CUDA_ENGINE_REMOTE_H */
