/* SPDX-License-Identifier: MIT */
/*
 * conformance.h - what the cases of the engine conformance test share
 *
 * One struct run is one engine under test. A case reports the first thing that
 * is wrong with FAIL(); its caller prints one TAP line for it. Everything runs
 * on one thread, which is the engine's caller.
 */
#ifndef VGPU_TESTS_CONFORMANCE_H
#define VGPU_TESTS_CONFORMANCE_H

#include <stdio.h>

#include "../../cuda/engine.h"
#include "../../cuda/wire.h"

struct run {
	const char *label;
	const char *engine;		/* name to open it by */
	struct vgpu_engine_config cfg;
	struct vgpu_engine *eng;
	bool remote;			/* "remote:ADDRESS" */
	bool quick;			/* under a sanitizer: small and few */
	bool huge;			/* gigabytes */
	bool fault;			/* only what a GPU does not survive */
	char wrong[512];		/* of the case that runs; "" is right */
};

#define FAIL(r, ...)							\
	do {								\
		if (!(r)->wrong[0])					\
			snprintf((r)->wrong, sizeof((r)->wrong),	\
				 __VA_ARGS__);				\
	} while (0)

/* FAIL()s with the text unless cond. */
#define CHECK(r, cond, ...)						\
	do {								\
		if (!(cond))						\
			FAIL(r, __VA_ARGS__);				\
	} while (0)

/*
 * An operand: count elements between two pages that fault when touched. It
 * begins right behind the first one, or ends right before the second.
 */
enum place { AT_START, AT_END };

struct operand {
	unsigned char *map;
	size_t map_len;
	uint32_t *bits;
	uint64_t count;
};

void operand_make(struct operand *o, uint64_t count, enum place place);
/* Deterministic bits: every kind of float, from the seed. */
void operand_fill(struct operand *o, uint32_t seed);
void operand_zero(struct operand *o);
void operand_protect(struct operand *o, int prot);
void operand_free(struct operand *o);

uint32_t next_random(uint32_t *state);
/* a + b as IEEE 754 has it, by the host's processor. */
uint32_t add_bits(uint32_t a, uint32_t b);
/* Equal, or want is a NaN and got any quiet one. */
bool same_bits(uint32_t want, uint32_t got);

/* FAIL()s where c is not a + b, naming the first such element. */
void check_sum(struct run *r, const uint32_t *a, const uint32_t *b,
	       const uint32_t *c, uint64_t count);

void job_add(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	     const void *a, const void *b, void *c, uint64_t count);
void job_fence(struct vgpu_job *job, struct vgpu_engine_stream *stream);

/*
 * Waits on the engine's descriptor until `count` jobs are reaped, and hands
 * each to seen (may be NULL) in the order of the reaping. Ends the program
 * where nothing happens for two minutes: an engine must never hang.
 */
void reap_jobs(struct run *r, unsigned int count,
	       void (*seen)(struct vgpu_job *job, void *arg), void *arg);
/* Of a clock that only goes forward. */
uint64_t now_ns(void);

/* Submits one job and waits for it. */
void run_job(struct run *r, struct vgpu_job *job);

/* Opens the engine of the run, or ends the program: the gate passed before. */
void open_engine(struct run *r);

enum when { ALWAYS, UNLESS_QUICK, IF_HUGE };

struct conformance_case {
	const char *name;
	void (*run)(struct run *r);
	enum when when;
};

/* Each list ends with a case without name. */
extern const struct conformance_case result_cases[];
extern const struct conformance_case region_cases[];
extern const struct conformance_case order_cases[];
extern const struct conformance_case life_cases[];
extern const struct conformance_case fault_cases[];

#endif /* VGPU_TESTS_CONFORMANCE_H */
