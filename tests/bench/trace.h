/* SPDX-License-Identifier: MIT */
/*
 * trace.h - counts the system calls of two processes, all threads of them
 *
 * A third process watches both with ptrace(2), as strace does, but only counts.
 * A thread that makes no system call runs at full speed; one that does pays for
 * it, so nothing is timed meanwhile.
 */
#ifndef VGPU_BENCH_TRACE_H
#define VGPU_BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACE_CALLS 512

/* @by: of the other process, by number of the call */
struct trace_counts {
	uint64_t self, other;
	uint64_t by[TRACE_CALLS];
};

struct trace;

/*
 * Watches the caller, which must have one thread, and another process. Returns
 * when both are watched; NULL: this system does not allow it.
 */
struct trace *trace_begin(pid_t other);
/* Now; makes no system call. */
void trace_read(const struct trace *t, struct trace_counts *out);
/* Both go on unwatched. */
void trace_end(struct trace *t);

/* "poll 12, read 3" of the differences, the most frequent first. */
void trace_names(const struct trace_counts *from, const struct trace_counts *to,
		 char *text, size_t size);

/* Sleeps of all threads of a process: voluntary context switches so far. */
uint64_t trace_sleeps(pid_t pid);

#endif /* VGPU_BENCH_TRACE_H */
