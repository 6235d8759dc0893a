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
	bool again;			/* what fails will be tried with more time */
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

/* Pages of a file in memory, in another order than the file's (mapping.c). */
struct mapping {
	unsigned char *map;		/* a page that faults */
	unsigned char *base;
	size_t pages;
	int fd;
	struct vgpu_engine_region *region;
};

#define MAPPING_PAGE	4096

/* Pages for so many bytes and a little more, without a region. */
void mapping_pages(struct mapping *m, size_t bytes, int prot);
/* For count words, filled from the seed, and a region where that can be. */
void mapping_make(struct run *r, struct mapping *m, uint64_t count,
		  bool read_only, uint32_t seed);
void mapping_free(struct run *r, struct mapping *m);
/* Operand i: count words that end `words` words before the pages do. */
void mapping_place(struct vgpu_job *job, unsigned int i,
		   const struct mapping *m, uint64_t count, unsigned int words);

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
/* No operands, nothing named; all else poisoned. */
void job_op(struct vgpu_job *job, struct vgpu_engine_stream *stream, uint8_t op);
void job_kernel(struct vgpu_job *job, struct vgpu_engine_stream *stream,
		uint16_t kernel);
void job_alloc(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	       struct vgpu_engine_mem *mem, uint64_t bytes);
void job_copy(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	      struct vgpu_engine_operand to, struct vgpu_engine_operand from);
void job_fill(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	      struct vgpu_engine_operand to, uint32_t pattern, uint32_t width);
void job_event(struct vgpu_job *job, struct vgpu_engine_stream *stream,
	       uint8_t op, struct vgpu_engine_event *event);

/* Operands: memory of the host in no region, in one, and of the device. */
struct vgpu_engine_operand in_host(const void *at, uint64_t count);
struct vgpu_engine_operand in_mapping(const struct mapping *m, uint64_t offset,
				      uint64_t count);
struct vgpu_engine_operand in_mem(struct vgpu_engine_mem *mem, uint64_t offset,
				  uint64_t count);

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

/* Submits one job, waits for it and FAIL()s unless it is well. */
void run_well(struct run *r, struct vgpu_job *job, const char *what);
/* Memory that is there when this returns. */
void mem_make(struct run *r, struct vgpu_engine_stream *s,
	      struct vgpu_engine_mem *mem, uint64_t bytes);
/* Memory to and from the host, and waits. */
void mem_write(struct run *r, struct vgpu_engine_stream *s,
	       struct vgpu_engine_mem *mem, const void *from, uint64_t bytes);
void mem_read(struct run *r, struct vgpu_engine_stream *s,
	      struct vgpu_engine_mem *mem, void *to, uint64_t bytes);

/* An input, on the device where asked for: a copy of what the host has. */
struct vgpu_engine_operand operand_put(struct run *r,
				       struct vgpu_engine_stream *s,
				       struct operand *o,
				       struct vgpu_engine_mem *mem, bool device);
/* Back to the host, and gone from the device; or only gone. */
void operand_take(struct run *r, struct vgpu_engine_stream *s,
		  struct operand *o, struct vgpu_engine_mem *mem);
void operand_drop(struct run *r, struct vgpu_engine_mem *mem);

/* FAIL()s where count octets differ, naming the first. */
void check_octets(struct run *r, const char *what, const void *want,
		  const void *got, uint64_t count);
float float_of(uint32_t bits);
uint32_t bits_of(float f);

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
extern const struct conformance_case memory_cases[];
extern const struct conformance_case copy_cases[];
extern const struct conformance_case builtin_cases[];
extern const struct conformance_case sgemm_cases[];
extern const struct conformance_case event_cases[];
/* With a GPU, and what there is without one. */
extern const struct conformance_case module_cases[];
extern const struct conformance_case launch_cases[];
extern const struct conformance_case no_module_cases[];
extern const struct conformance_case life_cases[];
/* Each the last of a process with a GPU; the latter with a max_job_ns. */
extern const struct conformance_case fault_cases[];
extern const struct conformance_case launch_fault_cases[];
extern const struct conformance_case within_cases[];
extern const struct conformance_case limit_cases[];

#endif /* VGPU_TESTS_CONFORMANCE_H */
