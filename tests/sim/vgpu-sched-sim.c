// SPDX-License-Identifier: MIT
/*
 * vgpu-sched-sim - many guests on one GPU, in virtual time
 *
 * Runs backend/sched.c as the arbiter does, with 2 to 1,000 guests of mixed kinds,
 * and beside it the same guests with one queue and no policy. Writes CSV, a line a
 * run. The same guests, the same line: there is no clock and no other chance in it.
 *
 * It says what the policy does. What a GPU and its driver do is in the model
 * (play.h) and was put there by hand: no number here is a measurement.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "play.h"

#define US 1000ULL
#define MS 1000000ULL
#define SECOND 1000000000ULL
#define MOST 1000

/* Between two processes, and between two clients of NVIDIA's MPS. */
#define SWITCH_NS (120 * US)
#define SWITCH_MPS_NS (5 * US)

enum kind {
	KIND_SHORT,
	KIND_MIDDLE,
	KIND_LONG,
	KIND_WAKER,
	KIND_CAPPED,
};

/* Ten guests; the next ten are the same, and so on. */
static const enum kind kinds[] = {
	KIND_SHORT, KIND_MIDDLE, KIND_WAKER, KIND_SHORT, KIND_CAPPED,
	KIND_WAKER, KIND_LONG,	 KIND_SHORT, KIND_WAKER, KIND_MIDDLE,
};

static const uint64_t job_ns[] = {
	[KIND_SHORT] = 20 * US, [KIND_MIDDLE] = 1 * MS,	 [KIND_LONG] = 3 * MS,
	[KIND_WAKER] = 50 * US, [KIND_CAPPED] = 20 * US,
};

static const uint32_t weights[] = {128, 256, 512};

struct samples {
	uint64_t *ns;
	size_t n;
	size_t room;
};

/* Everything that all runs share; one run at a time. */
static struct play play;
static struct play_guest guests[MOST];
static uint64_t work_from[MOST];
static uint64_t used_from[MOST];
static struct samples busy_waits;
static struct samples waker_waits;
static bool counting;

static enum kind kind_of(const struct play_guest *g)
{
	return kinds[(g - guests) % 10];
}

static bool is_busy(const struct play_guest *g)
{
	return kind_of(g) <= KIND_LONG;
}

/* ---- samples ----------------------------------------------------------- */

static void sample(struct samples *s, uint64_t ns)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 65536;
		uint64_t *more = realloc(s->ns, room * sizeof(*more));

		if (!more) {
			fprintf(stderr, "vgpu-sched-sim: %s\n",
				strerror(errno));
			exit(1);
		}
		s->ns = more;
		s->room = room;
	}
	s->ns[s->n++] = ns;
}

static void waited(struct play_guest *g, uint64_t ns)
{
	if (counting && is_busy(g))
		sample(&busy_waits, ns);
	if (counting && kind_of(g) == KIND_WAKER)
		sample(&waker_waits, ns);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* p50, p99, worst, in microseconds; empty where there is none. */
static void print_waits(struct samples *s)
{
	if (!s->n) {
		fputs(",,,", stdout);
		return;
	}
	qsort(s->ns, s->n, sizeof(*s->ns), by_size);
	printf(",%.1f,%.1f,%.1f", (double)s->ns[s->n / 2] / US,
	       (double)s->ns[(s->n - 1) * 99 / 100] / US,
	       (double)s->ns[s->n - 1] / US);
}

/* ---- guests ------------------------------------------------------------ */

/* Wakers ask 150 times a second, all together, and none of them often. */
static void start(unsigned int n, uint64_t switch_ns)
{
	unsigned int wakers = 0;

	for (unsigned int i = 0; i < n; i++)
		wakers += kinds[i % 10] == KIND_WAKER;
	memset(guests, 0, sizeof(guests));
	busy_waits.n = 0;
	waker_waits.n = 0;
	play_init(&play, guests, n, switch_ns);
	play.waited = waited;
	for (unsigned int i = 0; i < n; i++) {
		struct play_guest *g = &guests[i];
		enum kind kind = kinds[i % 10];

		g->job_ns = job_ns[kind];
		if (kind == KIND_WAKER) {
			g->think_ns = wakers * SECOND / 150;
			g->starts_at = play_think(&play, g);
		}
		play_guest_add(&play, g,
			       is_busy(g) ? weights[i % 3] : SCHED_WEIGHT,
			       kind == KIND_CAPPED ? 1 + 50 / n : 0);
	}
}

/* ---- results ----------------------------------------------------------- */

struct fairness {
	double jain;
	double worst;
};

/* Of what busy guests got, over what their weights say. */
static struct fairness fairness(const uint64_t *got)
{
	struct fairness f = {0};
	double sum = 0;
	double squares = 0;
	double weight = 0;
	double all = 0;
	unsigned int n = 0;

	for (unsigned int i = 0; i < play.n; i++) {
		double x;

		if (!is_busy(&guests[i]))
			continue;
		x = (double)got[i] / guests[i].client.weight;
		sum += x;
		squares += x * x;
		all += (double)got[i];
		weight += guests[i].client.weight;
		n++;
	}
	f.jain = sum * sum / (n * squares);
	for (unsigned int i = 0; i < play.n; i++) {
		double due = all * guests[i].client.weight / weight;
		double off = (double)got[i] / due - 1;

		if (!is_busy(&guests[i]))
			continue;
		off = off < 0 ? -off : off;
		f.worst = off > f.worst ? off : f.worst;
	}
	return f;
}

/* Of a capped guest: the most that one got, as a part of its cap. */
static double most_of_cap(const uint64_t *used, uint64_t ns)
{
	double most = 0;

	for (unsigned int i = 0; i < play.n; i++) {
		double part;

		if (!guests[i].client.cap)
			continue;
		part = (double)used[i] * 100 / guests[i].client.cap /
		       (double)ns;
		most = part > most ? part : most;
	}
	return most;
}

static void print_run(const char *policy, bool charged, uint64_t ns,
		      uint64_t lost_ns, uint64_t idle_ns)
{
	static uint64_t work[MOST];
	static uint64_t used[MOST];
	struct fairness f;

	for (unsigned int i = 0; i < play.n; i++) {
		work[i] = guests[i].work_ns - work_from[i];
		used[i] = guests[i].client.used_ns - used_from[i];
	}
	f = fairness(work);
	printf("%s,%llu,%u,%llu,%.6f,%.5f", policy,
	       (unsigned long long)(play.switch_ns / US), play.n,
	       (unsigned long long)(ns / SECOND), f.jain, f.worst);
	if (charged)
		printf(",%.5f,%.4f", fairness(used).worst,
		       most_of_cap(used, ns));
	else
		fputs(",,", stdout);
	print_waits(&busy_waits);
	print_waits(&waker_waits);
	printf(",%.3f,%.3f\n", 100.0 * (double)lost_ns / (double)ns,
	       100.0 * (double)idle_ns / (double)ns);
	fflush(stdout);
}

/* Long enough that the lightest of a thousand has a hundred turns. */
static uint64_t length_of(unsigned int n)
{
	return (n < 100 ? 100 : n) * SECOND;
}

static void run(const char *policy, void (*go)(struct play *p, uint64_t until),
		unsigned int n, uint64_t switch_ns)
{
	uint64_t ns = length_of(n);
	uint64_t lost_from;
	uint64_t idle_from;
	uint64_t from;

	start(n, switch_ns);
	counting = false;
	go(&play, ns / 10);
	from = play.now;
	lost_from = play.lost_ns;
	idle_from = play.idle_ns;
	for (unsigned int i = 0; i < n; i++) {
		work_from[i] = guests[i].work_ns;
		used_from[i] = guests[i].client.used_ns;
	}
	counting = true;
	go(&play, from + ns);
	print_run(policy, go == play_run, play.now - from,
		  play.lost_ns - lost_from, play.idle_ns - idle_from);
}

static void run_all(unsigned int n)
{
	run("sched", play_run, n, SWITCH_NS);
	run("sched", play_run, n, SWITCH_MPS_NS);
	run("fifo", play_fifo, n, SWITCH_NS);
	run("fifo", play_fifo, n, SWITCH_MPS_NS);
}

static int usage(void)
{
	fprintf(stderr,
		"usage: vgpu-sched-sim [GUESTS...]\n"
		"Runs so many guests, 2 to %d, in virtual time; CSV to standard "
		"output.\n"
		"Without numbers: 2 5 10 20 50 100 200 500 1000.\n",
		MOST);
	return 2;
}

int main(int argc, char **argv)
{
	static const unsigned int crowds[] = {2,   5,	10,  20,  50,
					      100, 200, 500, 1000};

	for (int i = 1; i < argc; i++) {
		char *end;
		unsigned long n = strtoul(argv[i], &end, 10);

		if (*end || n < 2 || n > MOST)
			return usage();
	}
	puts("policy,switch_us,guests,seconds,jain,worst_share_error,"
	     "worst_charge_error,most_of_cap,busy_p50_us,busy_p99_us,"
	     "busy_worst_us,waker_p50_us,waker_p99_us,waker_worst_us,"
	     "switching_percent,idle_percent");
	for (int i = 1; i < argc; i++)
		run_all(strtoul(argv[i], NULL, 10));
	for (size_t i = 0; argc == 1 && i < sizeof(crowds) / sizeof(*crowds);
	     i++)
		run_all(crowds[i]);
	free(busy_waits.ns);
	free(waker_waits.ns);
	return 0;
}
