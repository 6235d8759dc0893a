// SPDX-License-Identifier: MIT
/*
 * test_backend_text.c - log lines, the gate's output, the offer, and the pace
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "offer.h"
#include "pace.h"

/* ---- doubles: probes that were asked for ------------------------------ */

static char spawned[256];
static int probe_pipe[2];
static pid_t next_pid = 100;

bool child_spawn_probe(struct child *c, const char *engine, unsigned int gpu)
{
	size_t len = strlen(spawned);

	snprintf(spawned + len, sizeof(spawned) - len, "%s/%u ", engine, gpu);
	assert_int_equal(pipe(probe_pipe), 0);
	c->pid = next_pid++;
	c->fd = probe_pipe[0];
	return true;
}

void child_kill(const struct child *c)
{
	(void)c;
}

void child_forget(struct child *c)
{
	close(c->fd);
	*c = CHILD_NONE;
}

void child_describe(int status, char *buf, size_t size)
{
	snprintf(buf, size, "status %d", status);
}

/* The probe that was spawned last says this and ends. */
static bool probe_says(struct offers *o, const char *text)
{
	ssize_t n = write(probe_pipe[1], text, strlen(text));

	assert_int_equal(n, strlen(text));
	close(probe_pipe[1]);
	return offers_exited(o, next_pid - 1, 0);
}

static struct offers offers;

static void start(const char *engine)
{
	spawned[0] = '\0';
	offers_start(&offers, engine, BACK_KERNELS);
}

#define CPU "engine cpu\ngpu-name A B\nbuiltins vector-add\ngpu-memory 1024\n"
#define CUDA                                                                   \
	"engine cuda\ngpu-name NVIDIA H200\ngpu-memory 99\n"                   \
	"builtins vector-add saxpy\ndriver-version 13.0\nmodules yes\n"

#define EVERY_OP                                                               \
	"nop info buffer-map buffer-unmap builtin fence mem-alloc mem-free "   \
	"copy fill"
#define EVENT_OPS                                                              \
	"event-record event-wait event-destroy stream-destroy ctx-destroy"

/* ---- tests ------------------------------------------------------------ */

static void line(char *buf, size_t size, const char *value)
{
	const struct log_field fields[] = {
		F_NUM("n", 7), F_STR("why", value), {0}};

	log_format(buf, size, LOG_INFO, "x", fields);
}

static void log_escapes(void **state)
{
	char buf[256];

	(void)state;
	line(buf, sizeof(buf), "plain-1.0");
	assert_string_equal(buf, " level=info event=x n=7 why=plain-1.0");
	line(buf, sizeof(buf), "two words");
	assert_string_equal(buf, " level=info event=x n=7 why=\"two words\"");
	line(buf, sizeof(buf), "");
	assert_string_equal(buf, " level=info event=x n=7 why=\"\"");
	line(buf, sizeof(buf), "a\nlevel=error \"b\\\033[2J\xff");
	assert_string_equal(buf,
			    " level=info event=x n=7 why=\"a\\x0alevel=error "
			    "\\\"b\\\\\\x1b[2J\\xff\"");
}

static void log_cuts(void **state)
{
	char buf[32], value[1000];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	line(buf, sizeof(buf), value);
	assert_int_equal(strlen(buf), sizeof(buf) - 1);
}

static void offer_publishes_what_is_implemented(void **state)
{
	struct store_node nodes[OFFER_NODES];
	char text[] = CUDA;
	struct offer offer = {0};
	unsigned int n;
	int found = 0;

	(void)state;
	/* The engine has saxpy, the worker would refuse it. */
	assert_true(offer_parse(&offer, text, 1u << VGPU_KERNEL_VECTOR_ADD));
	n = offer_nodes(&offer, "7", nodes);
	assert_true(n <= OFFER_NODES);
	for (unsigned int i = 0; i < n; i++) {
		const char *v = nodes[i].value;

		if (!strcmp(nodes[i].name, "ops")) {
			assert_string_equal(v,
					    EVERY_OP " module-load "
						     "module-unload "
						     "function-get launch "
						     EVENT_OPS);
			found++;
		} else if (!strcmp(nodes[i].name, "builtins")) {
			assert_string_equal(v, "vector-add");
			found++;
		} else if (!strcmp(nodes[i].name, "max-ring-page-order")) {
			assert_string_equal(v, "4");
			found++;
		} else if (!strcmp(nodes[i].name, "max-buffers")) {
			assert_string_equal(v, "7");
			found++;
		} else if (!strcmp(nodes[i].name, "max-objects")) {
			assert_string_equal(v, "16384");
			found++;
		} else if (!strcmp(nodes[i].name, "gpu-name")) {
			assert_string_equal(v, "NVIDIA H200");
			found++;
		} else if (!strcmp(nodes[i].name, "gpu-uuid")) {
			/* What the engine has not is not published. */
			assert_null(v);
			found++;
		}
	}
	assert_int_equal(found, 7);
}

/* An engine without modules, and one that was asked before it had any. */
static void ops_follow_the_engine(void **state)
{
	struct store_node nodes[OFFER_NODES];
	struct offer offer = {0};
	char cuda[] = CUDA, cpu[] = CPU;
	unsigned int n;

	(void)state;
	assert_true(offer_parse(&offer, cuda, BACK_KERNELS));
	assert_true(offer.modules);
	assert_true(offer_parse(&offer, cpu, BACK_KERNELS));
	assert_false(offer.modules);
	n = offer_nodes(&offer, "7", nodes);
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(nodes[i].name, "ops"))
			assert_string_equal(nodes[i].value,
					    EVERY_OP " " EVENT_OPS);
}

static void debug_kernels_are_offered_when_asked_for(void **state)
{
	char text[] = "engine cpu\ngpu-name x\ngpu-memory 1\n"
		      "builtins vector-add\n";
	char again[sizeof(text)];
	struct offer offer = {0};

	(void)state;
	strcpy(again, text);
	assert_true(offer_parse(&offer, text, BACK_KERNELS));
	assert_string_equal(offer.fact[FACT_BUILTINS], "vector-add");
	assert_true(
		offer_parse(&offer, again, BACK_KERNELS | BACK_DEBUG_KERNELS));
	assert_string_equal(offer.fact[FACT_BUILTINS],
			    "vector-add debug-fault");
}

static void engine_names(void **state)
{
	char name[WORKER_ENGINE_NAME + 1];

	(void)state;
	assert_true(offers_engine_ok("auto"));
	assert_true(offers_engine_ok("cpu"));
	assert_true(offers_engine_ok("cuda"));
	assert_true(offers_engine_ok("remote:/dev/vport0p1"));
	assert_false(offers_engine_ok("remote"));
	assert_false(offers_engine_ok("remote:"));
	assert_false(offers_engine_ok("opencl"));
	assert_false(offers_engine_ok(""));
	/* What a worker's configuration has no room for. */
	memset(name, 'x', sizeof(name));
	memcpy(name, "remote:", 7);
	name[WORKER_ENGINE_NAME] = '\0';
	assert_false(offers_engine_ok(name));
	name[WORKER_ENGINE_NAME - 1] = '\0';
	assert_true(offers_engine_ok(name));
}

/* A host whose engine is elsewhere has no other to fall back to. */
static void remote_does_not_fall_back(void **state)
{
	(void)state;
	start("remote:unix:/s");
	assert_string_equal(spawned, "remote:unix:/s/0 ");
	probe_says(&offers, "why cannot connect\n");
	assert_true(offers.fatal);
	/* The node says what runs the work, not how it is reached. */
	start("remote:unix:/s");
	probe_says(&offers, CUDA);
	assert_string_equal(offers.engine, "remote:unix:/s");
	assert_string_equal(offers_get(&offers, 0)->fact[FACT_ENGINE], "cuda");
}

static void offer_needs_its_facts(void **state)
{
	struct offer offer = {0};
	char text[] = "engine cpu\ngpu-name x\n";
	char wild[] = "engine cpu\ngpu-memory 1\ngpu-name a\033b\xc3\nnoise\n";

	(void)state;
	assert_false(offer_parse(&offer, text, BACK_KERNELS));
	assert_int_equal(offer.state, OFFER_FAILED);
	assert_true(offer_parse(&offer, wild, BACK_KERNELS));
	assert_string_equal(offer.fact[FACT_GPU_NAME], "a?b?");
}

static void auto_falls_back_to_cpu(void **state)
{
	(void)state;
	start("auto");
	assert_string_equal(spawned, "cuda/0 ");
	assert_true(probe_says(&offers, "why no driver\n"));
	assert_string_equal(spawned, "cuda/0 cpu/0 ");
	assert_false(offers.fatal);
	assert_int_equal(offers_get(&offers, 0)->state, OFFER_PROBING);
	assert_true(probe_says(&offers, CPU));
	assert_string_equal(offers.engine, "cpu");
	assert_int_equal(offers_get(&offers, 0)->state, OFFER_PASSED);
	assert_string_equal(offers_get(&offers, 0)->fact[FACT_ENGINE], "cpu");
}

static void cuda_does_not_fall_back(void **state)
{
	(void)state;
	start("cuda");
	probe_says(&offers, "why no driver\n");
	assert_string_equal(spawned, "cuda/0 ");
	assert_true(offers.fatal);
	assert_string_equal(offers.gpu[0].why, "no driver");
}

static void crashed_probe_fails_the_gate(void **state)
{
	(void)state;
	start("cuda");
	probe_says(&offers, "");
	assert_true(offers.fatal);
	assert_string_equal(offers.gpu[0].why, "the probe ended with status 0");
}

/* Once the engine is decided, another GPU must pass that engine's gate. */
static void further_gpu_on_demand(void **state)
{
	(void)state;
	start("auto");
	assert_int_equal(offers_get(&offers, 3)->state, OFFER_UNKNOWN);
	probe_says(&offers, CUDA);
	assert_int_equal(offers_get(&offers, 3)->state, OFFER_PROBING);
	assert_string_equal(spawned, "cuda/0 cuda/3 ");
	probe_says(&offers, "why no such GPU\n");
	assert_false(offers.fatal);
	assert_int_equal(offers_get(&offers, 3)->state, OFFER_FAILED);
	assert_string_equal(spawned, "cuda/0 cuda/3 ");
	assert_int_equal(offers_get(&offers, 0)->state, OFFER_PASSED);
}

static void foreign_child_is_no_probe(void **state)
{
	(void)state;
	start("cpu");
	assert_false(offers_exited(&offers, 1, 0));
	assert_int_equal(offers.gpu[0].state, OFFER_PROBING);
	probe_says(&offers, CPU);
}

static void pace_lets_reloads_through(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000000;

	(void)state;
	for (int i = 0; i < 12; i++) {
		assert_true(pace_ready_at(&p) <= now);
		pace_charge(&p, now, PACE_OFFER_MS);
		now += 10;
	}
}

static void pace_slows_failures(void **state)
{
	struct pace p = {0};
	uint64_t now = 1000000, start = now;
	int starts = 0;

	(void)state;
	for (; now < start + 100000; now += 10) {
		if (pace_ready_at(&p) > now)
			continue;
		pace_charge(&p, now, PACE_OFFER_MS + PACE_FAILURE_MS);
		starts++;
	}
	/* Sixteen seconds of credit, then one start in five seconds. */
	assert_in_range(starts, 20, 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_escapes),
		cmocka_unit_test(log_cuts),
		cmocka_unit_test(offer_publishes_what_is_implemented),
		cmocka_unit_test(ops_follow_the_engine),
		cmocka_unit_test(debug_kernels_are_offered_when_asked_for),
		cmocka_unit_test(engine_names),
		cmocka_unit_test(remote_does_not_fall_back),
		cmocka_unit_test(offer_needs_its_facts),
		cmocka_unit_test(auto_falls_back_to_cpu),
		cmocka_unit_test(cuda_does_not_fall_back),
		cmocka_unit_test(crashed_probe_fails_the_gate),
		cmocka_unit_test(further_gpu_on_demand),
		cmocka_unit_test(foreign_child_is_no_probe),
		cmocka_unit_test(pace_lets_reloads_through),
		cmocka_unit_test(pace_slows_failures),
	};

	/* The log, which expected failures write to. V=1 shows it. */
	if (!getenv("V") && !freopen("/dev/null", "w", stderr))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
