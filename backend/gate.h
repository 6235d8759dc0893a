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
 * Work is what needs the GPU. A mark (FENCE, EVENT_RECORD, EVENT_WAIT) needs none:
 * it keeps its place in the order, and else nothing holds it up.
 *
 *              submit            has the GPU,
 *   session ----------> waiting -----------------> engine -------> session
 *                          |     below the bound            reap     ^
 *                          +-----------------------------------------+
 *                                  the engine was lost
 *
 * How long a job will take is estimated from those of its kind that have ended: the
 * same operation, kernel or function, and size. One whose like has not been seen is
 * taken for as long as the whole bound, and so has the engine for itself. What is
 * measured is how long the engine took for the jobs that came back together, and it
 * is told to their kinds by their estimates. The first after a change of hands tell
 * nothing: the GPU's own change is part of their time.
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

/*
 * Work that nobody sleeps for where a device or more work waits for the end of it:
 * to be woken is a small part of longer work.
 */
#define GATE_SHORT_NS 2000000

/* Kinds of jobs whose time is remembered, in sets of some; powers of two. */
#define GATE_KINDS 256
#define GATE_WAYS 4

/* No estimate is longer. */
#define GATE_MAX_NS 1000000000

/* @key: 0: none */
struct gate_kind {
	uint64_t key;
	uint64_t ns;
};

/*
 * The gate's part of a job: the caller has it beside the job, from gate_submit()
 * until gate_reap() has returned the job, whose owner is this.
 *
 * @job, @owner: the caller's
 * @key: 0: its time is of no interest
 */
struct gate_job {
	struct gate_job *next;
	struct vgpu_job *job;
	void *owner;
	uint64_t key;
	uint64_t estimate_ns;
};

/*
 * @lease: NULL: none
 * @first, @last: of the jobs that wait
 * @in_engine: jobs that the engine has; @working: of these, what is work;
 *	@in_engine_ns: sum of their estimates
 * @busy_since: the engine is busy with work, and the lease BUSY; 0: it is not
 * @counted_at: until when that time has been told to the kinds; 0: unknown
 * @idle_since: no work, and the GPU was still ours; 0: not so
 * @busy_ns: time with work in the engine, until busy_since
 * @fresh: no job has come back since the GPU changed hands
 * @first_turn: the one in which work began goes on
 * @asleep: the lease says so
 * @lost: the engine is, nothing more goes in
 * @victim: of the next kind that is forgotten for a new one
 */
struct gate {
	struct vgpu_engine *eng;
	struct lease *lease;
	int kick;
	int wake;
	struct gate_job *first;
	struct gate_job *last;
	uint32_t in_engine;
	uint32_t working;
	uint64_t in_engine_ns;
	uint64_t busy_since;
	uint64_t counted_at;
	uint64_t idle_since;
	uint64_t busy_ns;
	bool fresh;
	bool first_turn;
	bool asleep;
	bool lost;
	unsigned int victim;
	struct gate_kind kind[GATE_KINDS];
};

/* g is zero before. lease NULL: none, and kick and wake are -1. */
void gate_init(struct gate *g, struct vgpu_engine *eng, struct lease *lease,
	       int kick, int wake);

/* Takes the job, always; it is the engine's now or later. */
void gate_submit(struct gate *g, struct gate_job *gj);

/*
 * The finished jobs, as vgpu_engine_reap(); after gate_lose() also those that the
 * engine never had, with VGPU_RSP_DEVICE_LOST. Then gives the engine what may go
 * in. To be called in every turn of the worker. No system call but for a change of
 * hands.
 */
struct vgpu_job *gate_reap(struct gate *g);

/*
 * To be woken would take longer than what comes next: the GPU will be ours in a
 * moment; or short work ends; or longer work, for which more work waits, or another
 * device. Never for longer than GATE_SHORT_NS, whatever was estimated.
 */
bool gate_urgent(const struct gate *g, uint64_t now);

/*
 * Before sleeping. False: reap again. True: a grant, or the end of a job, makes
 * wake or the engine's descriptor readable; and nobody waits for a GPU that idles
 * here. gate_awake() after it, and gate_woken() where wake is readable.
 */
bool gate_arm(struct gate *g);
void gate_awake(struct gate *g);
void gate_woken(struct gate *g);

/* The engine is of no more use. */
void gate_lose(struct gate *g);

/* Nanoseconds with work in the engine, until now. */
uint64_t gate_busy_ns(const struct gate *g);

#endif /* VGPU_BACKEND_GATE_H */
