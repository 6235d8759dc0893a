/* SPDX-License-Identifier: MIT */
/*
 * gate_double.h - a gate, and doubles of what is on its three sides
 *
 * The session is the test; the engine ends jobs when the test says so; the arbiter
 * is the test, too, by the functions of lease.h. The clock stands still but for
 * pass(). Asserts by cmocka.
 */
#ifndef TEST_GATE_DOUBLE_H
#define TEST_GATE_DOUBLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <xen/io/vgpuif.h>

#include "gate.h"

#define JOBS 64

#define BOUND 50000

extern struct gate *g;
extern struct lease page;

/* With a lease; without one. Jobs are new. */
int setup_lease(void **state);
int setup_alone(void **state);
int teardown(void **state);

void pass(uint64_t ns);
/* How often the clock was read. */
extern unsigned int clock_reads;

/* Work of that kind, FENCE, or anything the test makes of job(n). */
struct vgpu_job *job(unsigned int n);
void work(unsigned int n, uint16_t kind);
void mark(unsigned int n, uint8_t op);
void submit(unsigned int n);

/* What the engine was given and has not ended, "0 1 2". */
void engine_has(const char *jobs);
/* The engine ends it, after that time. */
void ends(unsigned int n, uint64_t after_ns);
/* A turn of the worker; what came back. */
void turn(const char *jobs);
/* How many times the engine was armed; what it says the next time. */
extern unsigned int armed;
extern bool may_arm;

/* The arbiter's: was there a kick, one, since the last time? Bits of the word. */
bool kicked(void);
bool has(uint32_t bits);
void grant(void);
/* Wake can be read. */
bool woken(void);

/* The GPU is ours, and has just been used: the next jobs teach their kinds. */
void warm_up(void);
/* One of the kind runs alone, for that long. */
void teach(uint16_t kind, uint64_t ns);

#endif /* TEST_GATE_DOUBLE_H */
