// SPDX-License-Identifier: MIT
/*
 * engine_conformance.c - does an engine do what engine.h says?
 *
 * One list of cases for every engine, so that the cpu engine may stand for a
 * GPU in every other test. Prints TAP. Engines that are not there are skipped
 * with the reason, unless they are asked for by name.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance.h"

/* Counted together with what runs in processes of its own. */
struct tally {
	int tests, failed;
};

static struct tally *tally;

/*
 * Of a process with a time limit that its work keeps, on a machine that is busy
 * with other things: it does not count, and is tried once more, with more time.
 */
#define AGAIN		77
#define LIMIT_NS	UINT64_C(200000000)
#define LIMIT_MOST_NS	UINT64_C(20000000000)

static void tap(bool ok, const char *label, const char *name, const char *wrong)
{
	tally->tests++;
	if (!ok)
		tally->failed++;
	printf("%sok %d - %s: %s\n", ok ? "" : "not ", tally->tests, label,
	       name);
	if (!ok)
		printf("# %s\n", wrong);
	fflush(stdout);
}

static void skip(const char *label, const char *name, const char *why)
{
	tally->tests++;
	printf("ok %d - %s: %s # SKIP %s\n", tally->tests, label, name, why);
	fflush(stdout);
}

static void run_cases(struct run *r, const struct conformance_case *cases)
{
	for (; cases->name; cases++) {
		if ((cases->when == UNLESS_QUICK && r->quick) ||
		    (cases->when == IF_HUGE && !r->huge)) {
			skip(r->label, cases->name,
			     r->quick ? "--quick" : "without --huge");
			continue;
		}
		r->wrong[0] = '\0';
		cases->run(r);
		if (r->wrong[0] && r->again)
			_exit(AGAIN);
		tap(!r->wrong[0], r->label, cases->name, r->wrong);
	}
}

static bool open_or_tell(struct run *r, bool asked_for)
{
	char why[VGPU_ENGINE_WHY] = "";

	r->eng = vgpu_engine_open(r->engine, &r->cfg, why);
	if (!r->eng && r->again)
		_exit(AGAIN);
	if (!r->eng && asked_for)
		tap(false, r->label, "opens", why);
	else if (!r->eng)
		skip(r->label, "opens", why);
	return r->eng;
}

static bool has_modules(struct run *r)
{
	struct vgpu_engine_facts facts;

	vgpu_engine_facts(r->eng, &facts);
	return facts.modules;
}

static void run_engine(struct run *r, bool asked_for)
{
	if (!open_or_tell(r, asked_for))
		return;
	run_cases(r, result_cases);
	run_cases(r, region_cases);
	run_cases(r, order_cases);
	run_cases(r, memory_cases);
	run_cases(r, copy_cases);
	run_cases(r, builtin_cases);
	run_cases(r, sgemm_cases);
	run_cases(r, event_cases);
	if (has_modules(r)) {
		run_cases(r, module_cases);
		run_cases(r, launch_cases);
	} else {
		run_cases(r, no_module_cases);
	}
	run_cases(r, life_cases);
	if (!strcmp(r->engine, "cpu"))
		run_cases(r, fault_cases);
	vgpu_engine_close(r->eng);
}

/* What a process does not survive, or not its use of the GPU. */
struct fatal {
	const char *name;
	const struct conformance_case *cases;
	bool modules, limit;
};

static const struct fatal fatal[] = {
	{ "fault", fault_cases, false, false },
	{ "launch that faults", launch_fault_cases, true, false },
	{ "within a time limit", within_cases, true, true },
	{ "time limit", limit_cases, true, true },
};

static void run_fatal(struct run *r, const struct fatal *f, uint64_t limit_ns,
		      bool asked_for)
{
	uint64_t start;

	if (f->limit)
		r->cfg.max_job_ns = limit_ns;
	r->again = f->limit && limit_ns < LIMIT_MOST_NS;
	if (!open_or_tell(r, asked_for))
		return;
	if (f->modules && !has_modules(r)) {
		skip(r->label, f->name, "has no modules");
	} else if (f->limit && r->remote) {
		skip(r->label, f->name, "is set at the far end");
	} else {
		run_cases(r, f->cases);
	}
	start = now_ns();
	vgpu_engine_close(r->eng);
	tap(now_ns() - start < UINT64_C(60000000000), r->label,
	    "closes after it", "took more than a minute");
}

/*
 * In a process that begins with the GPU, and is ended if it hangs. Returns how it
 * ended, as waitpid() has it, or -1.
 */
static int try_fatal(struct run *r, const struct fatal *f, uint64_t limit_ns,
		     bool asked_for)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(600);
		run_fatal(r, f, limit_ns, asked_for);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

/* Or a watchdog has ended it, whose time is a limit, too. */
static bool try_again(const struct fatal *f, uint64_t limit_ns, int status)
{
	return f->limit && limit_ns < LIMIT_MOST_NS && WIFEXITED(status) &&
	       (WEXITSTATUS(status) == AGAIN ||
		WEXITSTATUS(status) == EXIT_FAILURE);
}

static void run_fatals(struct run *r, bool asked_for)
{
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		uint64_t limit_ns = LIMIT_NS;
		int status, told;

		do {
			told = tally->tests;
			status = try_fatal(r, &fatal[i], limit_ns, asked_for);
			limit_ns *= 5;
		} while (told == tally->tests &&
			 try_again(&fatal[i], limit_ns / 5, status));
		if (status)
			tap(false, r->label, fatal[i].name,
			    WIFSIGNALED(status) ?
			    strsignal(WTERMSIG(status)) : "its process failed");
	}
}

static void run_one(struct run *r, bool asked_for)
{
	if (r->fault)
		run_fatals(r, asked_for);
	else
		run_engine(r, asked_for);
}

/* Names, and that "auto" says which engine it chose and why. */
static void case_names(struct run *r)
{
	struct vgpu_engine_facts facts;
	char why[VGPU_ENGINE_WHY] = "";

	CHECK(r, vgpu_engine_by_name("cpu") == &vgpu_engine_cpu, "cpu");
	CHECK(r, vgpu_engine_by_name("cuda") == &vgpu_engine_cuda, "cuda");
	CHECK(r, vgpu_engine_by_name("remote") == &vgpu_engine_remote, "remote");
	CHECK(r, !vgpu_engine_open("remote", &r->cfg, why) &&
	      strstr(why, "remote:ADDRESS"), "open of \"remote\" says \"%.200s\"",
	      why);
	CHECK(r, !vgpu_engine_by_name("cud") && !vgpu_engine_by_name(""),
	      "names that are none");
	CHECK(r, !vgpu_engine_open("tpu", &r->cfg, why) && strstr(why, "tpu"),
	      "open of \"tpu\" says \"%.200s\"", why);
	memset(why, 'x', sizeof(why) - 1);
	r->eng = vgpu_engine_open("auto", &r->cfg, why);
	CHECK(r, r->eng, "auto: %.200s", why);
	if (!r->eng)
		return;
	vgpu_engine_facts(r->eng, &facts);
	CHECK(r, !strcmp(facts.engine, "cuda") ? !why[0] :
		 !strcmp(facts.engine, "cpu") && why[0] && why[0] != 'x',
	      "auto chose %s and says \"%.200s\"", facts.engine, why);
	printf("# auto: %s%s%s\n", facts.engine, why[0] ? ", since cuda: " : "",
	       why);
	vgpu_engine_close(r->eng);
}

static const struct conformance_case name_cases[] = {
	{ "by name", case_names, ALWAYS },
	{ NULL, NULL, ALWAYS },
};

static bool is_remote(const char *engine)
{
	return !strncmp(engine, "remote:", strlen("remote:"));
}

static void usage(FILE *to)
{
	fputs("Usage: engine_conformance [--engine NAME]... [--quick | --huge | --fault]\n"
	      "\n"
	      "  --engine NAME  only this engine (cpu, cuda, remote:ADDRESS), which must\n"
	      "                 then be there\n"
	      "  --quick        small operands, for a run under a sanitizer\n"
	      "  --huge         also 256 Mi elements (4 GiB of memory), and more than 2^31\n"
	      "  --fault        only kernels that fault or never end: a process's last on a GPU\n",
	      to);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "engine", required_argument, NULL, 'e' },
		{ "quick", no_argument, NULL, 'q' },
		{ "huge", no_argument, NULL, 'H' },
		{ "fault", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct run runs[] = {
		{ .label = "cpu", .engine = "cpu" },
		{ .label = "cpu with 1 thread", .engine = "cpu",
		  .cfg = { .threads = 1 } },
		{ .label = "cpu with 5 threads", .engine = "cpu",
		  .cfg = { .threads = 5 } },
		{ .label = "cuda", .engine = "cuda" },
	};
	struct run names = { .label = "engines", .engine = "auto" };
	const char *asked[8];
	int nr_asked = 0, opt;
	bool quick = false, huge = false, fault = false;
	size_t i;

	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 255;
	/*
	 * An arena per thread would look like a leak of address space, and so
	 * would a large block in the heap, below some small one.
	 */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'e' && nr_asked < 8) {
			asked[nr_asked++] = optarg;
		} else if (opt == 'q') {
			quick = true;
		} else if (opt == 'H') {
			huge = true;
		} else if (opt == 'f') {
			fault = true;
		} else {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	for (int k = 0; k < nr_asked; k++) {
		if (is_remote(asked[k]) ||
		    (vgpu_engine_by_name(asked[k]) &&
		     strcmp(asked[k], "remote")))
			continue;
		fprintf(stderr, "engine_conformance: no engine is called \"%s\"\n",
			asked[k]);
		return 2;
	}
	/* A GPU that was opened here would be none to processes of its own. */
	if (!fault)
		run_cases(&names, name_cases);
	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		bool wanted = false;

		for (int k = 0; k < nr_asked; k++)
			wanted |= !strcmp(asked[k], runs[i].engine);
		if (nr_asked && !wanted)
			continue;
		runs[i].quick = quick;
		runs[i].huge = huge;
		runs[i].fault = fault;
		run_one(&runs[i], wanted);
	}
	for (int k = 0; k < nr_asked; k++) {
		struct run there = {
			.label = "remote",
			.engine = asked[k],
			.remote = true,
			.quick = quick,
			.huge = huge,
			.fault = fault,
		};

		if (is_remote(asked[k]))
			run_one(&there, true);
	}
	printf("1..%d\n", tally->tests);
	return tally->failed ? 1 : 0;
}
