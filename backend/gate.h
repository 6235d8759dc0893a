/* SPDX-License-Identifier: MIT */
/*
 * gate.h - between session and engine: jobs wait here while the GPU is another's
 *
 * Used by the worker's one thread. Every job of the session goes through here, in
 * the order of its submission, so that what waits for an earlier job (a stream, an
 * event) never waits for one behind it. The gate gives a job to the engine when the
 * worker has the GPU (lease.h) and what is in the engine stays below the arbiter's
 * bound; it measures how long the engine was busy, which is what the device is
 * charged for; and it gives the GPU back.
 *
 * How long a job will take is estimated from those of its kind that have ended: the
 * same operation, kernel or function, and size. One whose like has not been seen is
 * taken for as long as the whole bound, and so has the engine for itself.
 *
 * Without a lease (a test, a tool) the gate is always open and only measures.
 */
#ifndef VGPU_BACKEND_GATE_H
#define VGPU_BACKEND_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "../cuda/engine.h"
#include "lease.h"

/*
 * How long a worker that has nothing to do keeps a GPU that others wait for: a
 * program that takes its answer and asks anew should not lose it in between.
 */
#define GATE_KEEP_NS 20000

/* Kinds of jobs whose time is remembered; a power of two. */
#define GATE_KINDS 256

struct gate_kind {
	uint64_t key;
	uint64_t ns;
};

/*
 * The gate's part of a job: the caller has it beside the job, from gate_submit()
 * until gate_reap() has returned the job.
 */
struct gate_job {
	struct gate_job *next;
	struct vgpu_job *job;
	uint64_t key;
	uint64_t estimate_ns;
};

/*
 * @lease: NULL: none
 * @first, @last: of the jobs that wait
 * @in_engine, @in_engine_ns: jobs that the engine has, and the sum of estimates
 * @busy_since: of the first of them, 0: none
 * @counted_at: until when their time has been told to the kinds
 * @idle_since: nothing to do, and the GPU is ours; 0: not so
 * @busy_ns: time with work in the engine; what the device is charged for
 * @lost: the engine is, nothing more goes in
 */
struct gate {
	struct vgpu_engine *eng;
	struct lease *lease;
	int kick;
	int wake;
	struct gate_job *first;
	struct gate_job *last;
	uint32_t in_engine;
	uint64_t in_engine_ns;
	uint64_t busy_since;
	uint64_t counted_at;
	uint64_t idle_since;
	uint64_t busy_ns;
	bool lost;
	struct gate_kind kind[GATE_KINDS];
};

/* lease NULL: none, and kick and wake are -1. */
void gate_init(struct gate *g, struct vgpu_engine *eng, struct lease *lease,
	       int kick, int wake);

/* Takes the job, always; it is the engine's now or later. gj->job is the job. */
void gate_submit(struct gate *g, struct gate_job *gj);

/*
 * The finished jobs, as vgpu_engine_reap(); after gate_lose() also those that the
 * engine never had, with VGPU_RSP_DEVICE_LOST. Then gives the engine what may go
 * in. To be called in every turn of the worker. No system call but for a change of
 * hands.
 */
struct vgpu_job *gate_reap(struct gate *g);

/*
 * Before sleeping. False: reap again. True: a grant or the end of a job makes wake
 * or the engine's descriptor readable. gate_awake() after it.
 */
bool gate_arm(struct gate *g);
void gate_awake(struct gate *g);

/* The engine is of no more use. */
void gate_lose(struct gate *g);

#endif /* VGPU_BACKEND_GATE_H */
