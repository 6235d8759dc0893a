/* SPDX-License-Identifier: MIT */
/*
 * engine_remote.h - the parts of the remote engine
 *
 *   engine_remote.c       opens and closes it; what its caller calls
 *   engine_remote_jobs.c  jobs, their streams and parts, what is finished
 *   engine_remote_io.c    the I/O thread: parts out, answers in, breaks
 *   engine_remote_link.c  connects and shakes hands
 *
 * Two threads: the caller's, and the I/O thread. The I/O thread alone has the
 * link and the slots once the engine is open. The lock guards jobs, streams and
 * the flags; it is never held while something is waited for or copied.
 */
#ifndef VGPU_CUDA_ENGINE_REMOTE_H
#define VGPU_CUDA_ENGINE_REMOTE_H

#include <pthread.h>

#include "remote.h"
#include "remote_frame.h"
#include "wire.h"

/* The I/O thread's, or the opener's before there is one. */
struct remote_link {
	int fd;				/* -1: no connection */
	uint32_t window;
	uint64_t capabilities;
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

/* Fields below the first line describe the job at the head. */
struct vgpu_engine_stream {
	struct vgpu_job *head, *tail;
	uint32_t number;		/* in frames */
	uint64_t count;			/* its elements */
	uint64_t taken;			/* of these: given to slots */
	uint64_t finished;		/* of these: answered, or given up */
	bool runnable;
	struct vgpu_engine_stream *next_runnable;
};

/* A part that is on its way. Its data stays until the answer is there. */
struct remote_slot {
	struct vgpu_engine_stream *stream;	/* NULL: the slot is free */
	struct vgpu_job *job;
	uint64_t id;
	uint64_t first;
	uint64_t since;			/* taken from its job, ms */
	uint32_t count;
	unsigned int tries;
	bool sent;
	unsigned char *data;		/* REMOTE_DATA_MAX octets */
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
	struct vgpu_job *first_done, *last_done;
};

uint64_t remote_now_ms(void);

/* engine_remote_jobs.c, from the caller's thread */
struct vgpu_engine_stream *remote_stream_create(struct vgpu_engine *eng);
void remote_stream_destroy(struct vgpu_engine *eng,
			   struct vgpu_engine_stream *stream);
void remote_submit(struct vgpu_engine *eng, struct vgpu_job *job);
struct vgpu_job *remote_reap(struct vgpu_engine *eng);
bool remote_arm(struct vgpu_engine *eng);

/* The lock is held: the I/O thread is to look at what changed. */
void remote_kick(struct remote_engine *eng);

/* engine_remote_jobs.c, from the I/O thread */

/* Puts the next part into a free slot. False: there is none. */
bool remote_take_part(struct remote_engine *eng, struct remote_slot *slot);
/* Frees the slot. Its output has been written where status is OK. */
void remote_part_done(struct remote_engine *eng, struct remote_slot *slot,
		      uint16_t status, uint64_t time_ns);
/* From now on all jobs end with DEVICE_LOST, those of the slots first. */
void remote_lose(struct remote_engine *eng);

/* engine_remote_io.c */
void *remote_io_thread(void *eng);

#endif /* VGPU_CUDA_ENGINE_REMOTE_H */
