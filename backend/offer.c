// SPDX-License-Identifier: MIT
/*
 * offer.c - runs the gate in probe processes and keeps the facts (see offer.h)
 */
#include "offer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "vgpu_nodes.h"

/* A CUDA driver that does not answer in this time will not serve anybody. */
#define PROBE_MS 60000
/* How long a failed gate is believed. */
#define PROBE_AGAIN_MS 10000

static const char *const fact_names[NR_FACTS] = {
	[FACT_ENGINE] = VGPU_NODE_ENGINE,
	[FACT_GPU_NAME] = VGPU_NODE_GPU_NAME,
	[FACT_GPU_UUID] = VGPU_NODE_GPU_UUID,
	[FACT_GPU_MEMORY] = VGPU_NODE_GPU_MEMORY,
	[FACT_COMPUTE_CAPABILITY] = VGPU_NODE_COMPUTE_CAPABILITY,
	[FACT_DRIVER_VERSION] = VGPU_NODE_DRIVER_VERSION,
	[FACT_BUILTINS] = VGPU_NODE_BUILTINS,
};

#define STR(x) #x
#define XSTR(x) STR(x)

/* The names of an X list whose bit is set in mask. */
#define LISTED(name, code, str)                                                \
	if (mask & (1u << (code)))                                             \
		len += snprintf(out + len, size - len, "%s%s",                 \
				len ? VGPUIF_LIST_SEPARATOR : "", str);

static const char *ops_text(bool modules)
{
	static char text[2][256];
	char *const out = text[modules];
	const size_t size = sizeof(text[0]);
	const uint32_t mask = modules ? BACK_OPS : BACK_OPS & ~BACK_MODULE_OPS;
	size_t len = 0;

	VGPU_OP_LIST(LISTED)
	return out;
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");

		if (len == n && !memcmp(p, word, n))
			return true;
		p += len;
	}
	return false;
}

/*
 * The engine's kernels as far as the worker lets them through, into out. Every
 * engine has the debug kernels, and none names them.
 */
#define KERNEL_LISTED(name, code, str)                                         \
	if ((kernels & (1u << (code))) &&                                      \
	    ((BACK_DEBUG_KERNELS & (1u << (code))) || has_word(have, str)))    \
		len += snprintf(out + len, size - len, "%s%s",                 \
				len ? VGPUIF_LIST_SEPARATOR : "", str);

static void trim_builtins(char *out, size_t size, uint32_t kernels)
{
	char have[2 * VGPU_NAME_LEN];
	size_t len = 0;

	snprintf(have, sizeof(have), "%s", out);
	out[0] = '\0';
	VGPU_KERNEL_LIST(KERNEL_LISTED)
}

static bool gate_failed(struct offer *offer, const char *why)
{
	log_sanitize(offer->why, sizeof(offer->why), why, strlen(why));
	offer->state = OFFER_FAILED;
	offer->failed_at = clock_ms();
	return false;
}

static void set_fact(struct offer *offer, const char *name, const char *value)
{
	for (unsigned int i = 0; i < NR_FACTS; i++) {
		size_t size = i == FACT_BUILTINS ? sizeof(offer->fact[i]) :
						   VGPU_NAME_LEN;

		if (!strcmp(name, fact_names[i]))
			log_sanitize(offer->fact[i], size, value,
				     strlen(value));
	}
}

bool offer_parse(struct offer *offer, char *text, uint32_t kernels)
{
	char *save = NULL;

	memset(offer->fact, 0, sizeof(offer->fact));
	offer->modules = false;
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = '\0';
		if (!strcmp(line, "why"))
			return gate_failed(offer, value);
		if (!strcmp(line, "modules"))
			offer->modules = !strcmp(value, "yes");
		set_fact(offer, line, value);
	}
	if (!*offer->fact[FACT_ENGINE] || !*offer->fact[FACT_GPU_NAME] ||
	    !*offer->fact[FACT_GPU_MEMORY])
		return gate_failed(offer, "the probe said nothing");
	/* The node is mandatory, whatever the engine knows. */
	if (!*offer->fact[FACT_DRIVER_VERSION])
		strcpy(offer->fact[FACT_DRIVER_VERSION], "unknown");
	trim_builtins(offer->fact[FACT_BUILTINS],
		      sizeof(offer->fact[FACT_BUILTINS]), kernels);
	offer->state = OFFER_PASSED;
	return true;
}

static void probe(struct offers *o, unsigned int gpu)
{
	struct offer *offer = &o->gpu[gpu];

	if (gpu && strcmp(o->engine, "cuda")) {
		gate_failed(offer, "only the engine cuda has more than GPU 0");
		return;
	}
	if (!child_spawn_probe(&offer->probe, o->engine, gpu)) {
		gate_failed(offer, strerror(errno));
		return;
	}
	offer->state = OFFER_PROBING;
	offer->deadline = clock_ms() + PROBE_MS;
}

bool offers_engine_ok(const char *name)
{
	const size_t n = strlen(VGPU_ENGINE_REMOTE);

	if (!strncmp(name, VGPU_ENGINE_REMOTE, n))
		return name[n] && strlen(name) < WORKER_ENGINE_NAME;
	return !strcmp(name, "auto") || !strcmp(name, "cpu") ||
	       !strcmp(name, "cuda") || !strcmp(name, "none");
}

bool offers_none(const struct offers *o)
{
	return !strcmp(o->wanted, "none");
}

void offers_start(struct offers *o, const char *wanted, uint32_t kernels)
{
	memset(o, 0, sizeof(*o));
	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++)
		o->gpu[i].probe = CHILD_NONE;
	o->wanted = wanted;
	o->engine = wanted;
	o->kernels = kernels;
	if (offers_none(o)) {
		for (unsigned int i = 0; i < BACK_MAX_GPUS; i++)
			gate_failed(&o->gpu[i],
				    "this vgpubackd serves no GPU (--engine "
				    "none)");
		return;
	}
	o->engine = strcmp(wanted, "auto") ? wanted : "cuda";
	probe(o, 0);
}

const struct offer *offers_get(struct offers *o, unsigned int gpu)
{
	struct offer *offer = &o->gpu[gpu];
	bool stale = offer->state == OFFER_FAILED &&
		     clock_ms() - offer->failed_at >= PROBE_AGAIN_MS;

	if (o->decided && (offer->state == OFFER_UNKNOWN || stale))
		probe(o, gpu);
	return offer;
}

/* The engine's verdict on GPU 0 is in. */
static void decide(struct offers *o)
{
	struct offer *offer = &o->gpu[0];

	o->decided = offer->state == OFFER_PASSED;
	if (o->decided)
		return;
	if (!strcmp(o->wanted, "auto") && !strcmp(o->engine, "cuda")) {
		o->engine = "cpu";
		probe(o, 0);
	}
	o->fatal = offer->state == OFFER_FAILED;
}

static void log_gate(const struct offers *o, unsigned int gpu)
{
	const struct offer *offer = &o->gpu[gpu];

	if (offer->state == OFFER_FAILED) {
		log_event(strcmp(o->wanted, "auto") ? LOG_ERROR : LOG_INFO,
			  "gate", F_STR("engine", o->engine), F_NUM("gpu", gpu),
			  F_STR("result", "failed"), F_STR("why", offer->why));
		return;
	}
	log_event(LOG_INFO, "gate", F_STR("engine", o->engine),
		  F_NUM("gpu", gpu), F_STR("result", "passed"),
		  F_STR("device", offer->fact[FACT_GPU_NAME]));
	log_event(LOG_INFO, "offer", F_STR("engine", offer->fact[FACT_ENGINE]),
		  F_NUM("gpu", gpu),
		  F_STR("device", offer->fact[FACT_GPU_NAME]),
		  F_STR("memory", offer->fact[FACT_GPU_MEMORY]),
		  F_STR("driver", offer->fact[FACT_DRIVER_VERSION]),
		  F_STR("builtins", offer->fact[FACT_BUILTINS]),
		  F_STR("modules", offer->modules ? "yes" : "no"));
}

/* The probe's output is all in the pipe: it has ended, and it is short. */
static void read_probe(struct offer *offer, int status, uint32_t kernels)
{
	char text[4096], end[128], why[WORKER_WHY];
	ssize_t n = read(offer->probe.fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (n > 0) {
		offer_parse(offer, text, kernels);
		return;
	}
	child_describe(status, end, sizeof(end));
	snprintf(why, sizeof(why), "the probe ended with %s", end);
	gate_failed(offer, why);
}

bool offers_exited(struct offers *o, pid_t pid, int status)
{
	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++) {
		struct offer *offer = &o->gpu[i];

		if (offer->state != OFFER_PROBING || offer->probe.pid != pid)
			continue;
		read_probe(offer, status, o->kernels);
		child_forget(&offer->probe);
		offer->deadline = 0;
		log_gate(o, i);
		if (!o->decided)
			decide(o);
		return true;
	}
	return false;
}

uint64_t offers_deadline(const struct offers *o)
{
	uint64_t first = 0;

	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++) {
		uint64_t d = o->gpu[i].deadline;

		if (d && (!first || d < first))
			first = d;
	}
	return first;
}

/* The death is reported by SIGCHLD like any other. */
void offers_expire(struct offers *o, uint64_t now)
{
	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++) {
		struct offer *offer = &o->gpu[i];

		if (!offer->deadline || offer->deadline > now)
			continue;
		child_kill(&offer->probe);
		offer->deadline = 0;
	}
}

void offers_stop(struct offers *o)
{
	for (unsigned int i = 0; i < BACK_MAX_GPUS; i++)
		child_kill(&o->gpu[i].probe);
}

unsigned int offer_nodes(const struct offer *offer, const char *max_buffers,
			 struct store_node nodes[OFFER_NODES])
{
	unsigned int n = 0;

	nodes[n++] =
		(struct store_node){VGPU_NODE_VERSIONS, VGPUIF_VERSION_STR};
	nodes[n++] = (struct store_node){VGPU_NODE_MAX_RING_PAGE_ORDER,
					 XSTR(VGPUIF_MAX_RING_PAGE_ORDER)};
	nodes[n++] = (struct store_node){VGPU_NODE_MAX_ARENA_PAGES,
					 XSTR(VGPUIF_MAX_ARENA_PAGES)};
	nodes[n++] = (struct store_node){VGPU_NODE_MAX_BUFFERS, max_buffers};
	nodes[n++] = (struct store_node){VGPU_NODE_MAX_BUFFER_PAGES,
					 XSTR(BACK_MAX_BUFFER_PAGES)};
	nodes[n++] = (struct store_node){VGPU_NODE_MAX_STREAMS,
					 XSTR(BACK_MAX_STREAMS)};
	nodes[n++] = (struct store_node){VGPU_NODE_MAX_OBJECTS,
					 XSTR(BACK_MAX_OBJECTS)};
	nodes[n++] =
		(struct store_node){VGPU_NODE_OPS, ops_text(offer->modules)};
	/* A fact that this engine has not is removed: a former one had it. */
	for (unsigned int i = 0; i < NR_FACTS; i++)
		nodes[n++] = (struct store_node){
			fact_names[i], *offer->fact[i] ? offer->fact[i] : NULL};
	return n;
}
