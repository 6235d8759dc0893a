/* SPDX-License-Identifier: MIT */
/*
 * offer.h - the sanity gate, and what is offered to guests after it
 *
 * Owns the probe processes and what they found, by GPU. Used by the
 * supervisor's one thread; never opens an engine itself.
 *
 * GPU 0 is probed at start and decides the engine for the life of the daemon
 * (--engine auto: cuda, and where its gate fails cpu). Others are probed when a
 * device first asks for them, and must pass the same engine's gate: a device
 * that was given a GPU is never quietly served by something else. --engine none
 * probes nothing and offers nothing.
 */
#ifndef VGPU_BACKEND_OFFER_H
#define VGPU_BACKEND_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "child.h"
#include "limits.h"
#include "proto.h"
#include "store.h"

enum offer_state {
	OFFER_UNKNOWN,
	OFFER_PROBING,
	OFFER_PASSED,
	OFFER_FAILED,
};

enum offer_fact {
	FACT_ENGINE,
	FACT_GPU_NAME,
	FACT_GPU_UUID,
	FACT_GPU_MEMORY,
	FACT_COMPUTE_CAPABILITY,
	FACT_DRIVER_VERSION,
	FACT_BUILTINS,
	NR_FACTS,
};

/*
 * A fact is "" where the engine has none. @modules: it runs guests' own code.
 */
struct offer {
	enum offer_state state;
	struct child probe;
	uint64_t deadline;
	uint64_t failed_at;
	char why[WORKER_WHY];
	char fact[NR_FACTS][2 * VGPU_NAME_LEN];
	bool modules;
};

/*
 * @wanted: "auto", "cpu", "cuda", "remote:ADDRESS" or "none"
 * @engine: the one decided on, or being tried on GPU 0
 * @kernels: bits of enum vgpu_kernel that guests may ask for
 * @decided: GPU 0 has passed
 * @fatal: GPU 0 passed no gate that --engine allows: nothing can be offered
 */
struct offers {
	const char *wanted;
	const char *engine;
	uint32_t kernels;
	bool decided;
	bool fatal;
	struct offer gpu[BACK_MAX_GPUS];
};

/* The most nodes that offer_nodes() fills. */
#define OFFER_NODES 20

/* Is it what --engine may be? */
bool offers_engine_ok(const char *name);

/* Begins to probe GPU 0, but with "none". */
void offers_start(struct offers *o, const char *wanted, uint32_t kernels);

/* The GPU's offer; starts a probe where there is nothing (fresh) to say. */
const struct offer *offers_get(struct offers *o, unsigned int gpu);

/* A child ended. True: it was a probe, and devices should look again. */
bool offers_exited(struct offers *o, pid_t pid, int status);

/* The next deadline in clock_ms() time, 0: none; and what to do when it came. */
uint64_t offers_deadline(const struct offers *o);
void offers_expire(struct offers *o, uint64_t now);

/* Kills probes. */
void offers_stop(struct offers *o);

/* Nothing is offered to anybody: --engine none. */
bool offers_none(const struct offers *o);

/*
 * What a backend directory says before InitWait, but for the state. The values
 * are the offer's, or static, but for the device's own max_buffers.
 */
unsigned int offer_nodes(const struct offer *offer, const char *max_buffers,
			 struct store_node nodes[OFFER_NODES]);

/*
 * Reads a probe's output; false (and why) where it is no complete offer. Of the
 * engine's built-in kernels those in kernels are offered.
 */
bool offer_parse(struct offer *offer, char *text, uint32_t kernels);

#endif /* VGPU_BACKEND_OFFER_H */
