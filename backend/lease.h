/* SPDX-License-Identifier: MIT */
/*
 * lease.h - the page that a worker and the arbiter share: who has the GPU
 *
 * One page a worker, in a sealed memfd, mapped by the worker and by the
 * supervisor; no worker sees another's. It makes the common case free: a worker
 * whose GPU nobody else wants starts and ends work by an atomic operation in
 * memory that is its own, without a system call. One word holds all of the state,
 * so that every change has one order for both.
 *
 *   HELD		the worker has the GPU		arbiter sets, either clears
 *   BUSY		it has work in the engine	worker
 *   WANT		it has work and no GPU		worker sets, arbiter clears
 *   LEAVE		finish what is in flight, start	arbiter sets, whoever clears
 *			nothing, clear HELD, kick	HELD clears it
 *   CONTENDED		others wait: clear HELD and	arbiter
 *			kick rather than sit idle
 *   NEXT		look for the grant, which is	arbiter
 *			near, rather than sleep
 *   ASLEEP		a change needs a wake		worker; a grant, which is one,
 *						clears it
 *
 * kick: eventfd, worker to arbiter: look at my page; the arbiter never reads it.
 * wake: a socket, arbiter to worker, where ASLEEP was set: read it empty; it does
 * not block. Not an eventfd, which has one set of flags for both sides: the worker
 * could make it block, and the arbiter's write with it. Nor a pipe, whose reader
 * keeps its writers waiting while it faults in the page that it reads into. The
 * arbiter takes the GPU by itself from a worker that is not BUSY.
 *
 * A worker may be in a guest's hands. The arbiter reads the page as one reads what
 * a guest wrote: any value is possible at any time, none is believed, and a worker
 * that does not leave is let be where it is (sched.h, grace).
 */
#ifndef VGPU_BACKEND_LEASE_H
#define VGPU_BACKEND_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The worker's descriptors, behind WORKER_FD (proto.h). */
#define LEASE_FD 4
#define LEASE_KICK_FD 5
#define LEASE_WAKE_FD 6

#define LEASE_BYTES 4096

enum lease_bit {
	LEASE_HELD = 1 << 0,
	LEASE_BUSY = 1 << 1,
	LEASE_WANT = 1 << 2,
	LEASE_LEAVE = 1 << 3,
	LEASE_CONTENDED = 1 << 4,
	LEASE_ASLEEP = 1 << 5,
	LEASE_NEXT = 1 << 6,
};

/*
 * @word: bits of enum lease_bit
 * @bound_ns: the arbiter's: how much work, by the worker's estimate, may be in the
 *	engine at a time; 0: any. One job always may, two that are shorter, too.
 * @busy_ns: the worker's: time with work in the engine, until @busy_since
 * @busy_since: the worker's: since when it is BUSY, CLOCK_MONOTONIC nanoseconds;
 *	0: it is not
 */
struct lease {
	_Atomic uint32_t word;
	_Atomic uint64_t bound_ns;
	_Atomic uint64_t busy_ns;
	_Atomic uint64_t busy_since;
};

_Static_assert(sizeof(struct lease) <= LEASE_BYTES, "one page");

/* ---- the worker's side ------------------------------------------------- */

/* BUSY from now on. False: it has not got the GPU, or is to leave. */
static inline bool lease_start(struct lease *l)
{
	uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);

	while ((w & LEASE_HELD) && !(w & LEASE_LEAVE))
		if (atomic_compare_exchange_weak(&l->word, &w, w | LEASE_BUSY))
			return true;
	return false;
}

/* It wants the GPU, unless it has it. True: kick the arbiter. */
static inline bool lease_want(struct lease *l)
{
	uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);

	do {
		if (w & (LEASE_HELD | LEASE_WANT))
			return false;
	} while (!atomic_compare_exchange_weak(&l->word, &w, w | LEASE_WANT));
	return true;
}

/*
 * Nothing is in the engine any more. keep: unless it is to leave, it keeps the
 * GPU; else it gives it back where others wait, and where it wants it back says so
 * with it. True: it gave it back, kick.
 */
static inline bool lease_end(struct lease *l, bool keep, bool wants)
{
	uint32_t give = keep ? LEASE_LEAVE : LEASE_LEAVE | LEASE_CONTENDED;
	uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);
	uint32_t to;

	do {
		to = w & ~LEASE_BUSY;
		if ((w & LEASE_HELD) && (w & give)) {
			to &= ~(LEASE_HELD | LEASE_LEAVE);
			if (wants)
				to |= LEASE_WANT;
		}
	} while (!atomic_compare_exchange_weak(&l->word, &w, to));
	return (w & LEASE_HELD) && !(to & LEASE_HELD);
}

/*
 * About to sleep. wants: there is work, and nothing in the engine: it keeps the
 * GPU that it has, and wants the one that it has not. One that wants nothing and
 * is not BUSY does not sleep on a GPU that others wait for, but gives it back.
 * True: kick. Look at the word once more after this, as with any flag to be woken
 * by.
 */
static inline bool lease_sleep(struct lease *l, bool wants)
{
	uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);
	uint32_t to;

	do {
		to = w | LEASE_ASLEEP;
		if (wants && !(w & LEASE_HELD))
			to |= LEASE_WANT;
		if (!wants && (w & LEASE_HELD) && !(w & LEASE_BUSY) &&
		    (w & (LEASE_LEAVE | LEASE_CONTENDED)))
			to &= ~(LEASE_HELD | LEASE_LEAVE);
	} while (!atomic_compare_exchange_weak(&l->word, &w, to));
	return (w ^ to) & (LEASE_HELD | LEASE_WANT);
}

static inline void lease_awake(struct lease *l)
{
	atomic_fetch_and(&l->word, ~(uint32_t)LEASE_ASLEEP);
}

/* ---- the arbiter's side ------------------------------------------------ */

static inline uint32_t lease_word(const struct lease *l)
{
	return atomic_load(&l->word);
}

/*
 * True: wake the worker, which counts as awake from now on: what it was woken for
 * is not taken from it before it has looked.
 */
static inline bool lease_grant(struct lease *l)
{
	uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);

	while (!atomic_compare_exchange_weak(
		&l->word, &w,
		(w | LEASE_HELD) & ~(LEASE_WANT | LEASE_LEAVE | LEASE_NEXT |
				     LEASE_ASLEEP)))
		;
	return w & LEASE_ASLEEP;
}

/* Its grant is near, or it is not. True: wake the worker. */
static inline bool lease_next(struct lease *l, bool near)
{
	if (!near) {
		atomic_fetch_and(&l->word, ~(uint32_t)LEASE_NEXT);
		return false;
	}
	return atomic_fetch_or(&l->word, LEASE_NEXT) & LEASE_ASLEEP;
}

/*
 * It is to leave. True: it has not got the GPU (any more). One that is BUSY needs
 * no wake: the end of its work is one.
 */
static inline bool lease_leave(struct lease *l)
{
	uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);
	uint32_t to;

	do {
		to = w & ~(LEASE_HELD | LEASE_LEAVE);
		if ((w & LEASE_HELD) && (w & LEASE_BUSY))
			to = w | LEASE_LEAVE;
	} while (!atomic_compare_exchange_weak(&l->word, &w, to));
	return !(to & LEASE_HELD);
}

/*
 * Tells it whether others wait. True: it slept on an idle GPU, which was taken from
 * it.
 */
static inline bool lease_contend(struct lease *l, bool contended)
{
	uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);
	uint32_t to;

	do {
		to = contended ? w | LEASE_CONTENDED :
				 w & ~(uint32_t)LEASE_CONTENDED;
		if (contended && (w & LEASE_HELD) && !(w & LEASE_BUSY) &&
		    (w & LEASE_ASLEEP))
			to &= ~(uint32_t)LEASE_HELD;
	} while (!atomic_compare_exchange_weak(&l->word, &w, to));
	return (w & LEASE_HELD) && !(to & LEASE_HELD);
}

#endif /* VGPU_BACKEND_LEASE_H */
