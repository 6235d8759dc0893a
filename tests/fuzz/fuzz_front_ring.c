// SPDX-License-Identifier: MIT
/*
 * fuzz_front_ring.c - a backend that writes what it likes, when it likes
 *
 * Each octet of the input is a move of the frontend or of the backend, which
 * may write any octet of the shared pages. What must hold after each move: a
 * response is only ever taken for a request that the model has in flight, with
 * its op; it retires no more quiet requests than were published; ids are never
 * given out twice; free and in-flight slots add up; a full ring has an answer
 * to come; and a broken ring stays broken.
 *
 * With -fsanitize=fuzzer this is a libFuzzer target (build it with
 * -DVGPU_LIBFUZZER); alone it is a TAP test with a fixed number of random runs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vgpufront_ring.h"

#define OCTETS	VGPUIF_PAGE_SIZE
#define SLOTS	32

static struct {
	struct vgpufront_ring front;
	_Alignas(64) uint8_t page[OCTETS];
	uint8_t op[SLOTS];	/* model: op in flight, 0 for none */
	bool answered[SLOTS];	/* by an honest backend */
	unsigned int in_flight;
	unsigned int quiet;	/* put and not retired */
	unsigned int published;	/* of these */
	unsigned int done;	/* of these: retired by an honest backend */
	unsigned int taken;	/* responses of the whole run */
	unsigned int retired;
} f;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_front_ring: %s\n", what);
	abort();
}

static void check(void)
{
	if (f.front.violation) {
		must(vgpufront_ring_free(&f.front) == 0, "broken but usable");
		return;
	}
	must(vgpufront_ring_in_flight(&f.front) == f.in_flight,
	     "requests in flight do not add up");
	must(vgpufront_ring_quiet(&f.front) == f.quiet,
	     "quiet requests do not add up");
	must(vgpufront_ring_free(&f.front) == SLOTS - f.in_flight - f.quiet,
	     "free slots do not add up");
	must(vgpufront_ring_free(&f.front) || f.in_flight,
	     "full, and nothing is to come");
}

static void front_put(uint8_t op, bool quiet)
{
	struct vgpu_request req = { .op = 1 + op % 19, .ctx = 256 };
	int id;

	if (quiet)
		req.flags = VGPU_REQF_QUIET;
	if (quiet && vgpufront_ring_retire_due(&f.front))
		req.flags |= VGPU_REQF_RETIRE;
	id = vgpufront_ring_put(&f.front, &req);
	if (id < 0) {
		must(f.front.violation || f.in_flight + f.quiet == SLOTS,
		     "refused");
		return;
	}
	must((id == VGPUFRONT_NO_ID) == (req.flags == VGPU_REQF_QUIET),
	     "an id for a quiet request, or none for another");
	if (id == VGPUFRONT_NO_ID) {
		f.quiet++;
		return;
	}
	must(id < SLOTS && !f.op[id], "an id was given out twice");
	f.op[id] = req.op;
	f.answered[id] = false;
	f.in_flight++;
}

static void front_get(void)
{
	enum vgpufront_violation before = f.front.violation;
	struct vgpu_response rsp;
	int got = vgpufront_ring_get(&f.front, &rsp);

	must(!before || got < 0, "a broken ring gave a response");
	must((got < 0) == !!f.front.violation, "broken without a reason");
	if (got <= 0)
		return;
	must(rsp.id < SLOTS && f.op[rsp.id], "response to an idle id");
	must(rsp.op == f.op[rsp.id], "response with a wrong op");
	must(rsp.status <= VGPU_RSP_MAX, "response not checked");
	must(rsp.retired <= f.published, "retired what was not published");
	must((int32_t)(((struct vgpu_sring *)(void *)f.page)->rsp_prod -
		       f.front.front.rsp_cons) >= 0, "took what is not there");
	f.op[rsp.id] = 0;
	f.in_flight--;
	f.taken++;
	f.retired += rsp.retired;
	f.quiet -= rsp.retired;
	f.published -= rsp.retired;
	f.done -= rsp.retired < f.done ? rsp.retired : f.done;
}

/*
 * Honest: the first id in flight from id on, where one is to be answered, and
 * no more quiet requests than there are.
 */
static void back_answer(unsigned int id, unsigned int retired, bool honest)
{
	struct vgpu_sring *sring = (void *)f.page;
	struct vgpu_response rsp = { .id = id % (SLOTS + 1) };
	unsigned int i;

	if (honest && sring->rsp_prod == f.front.pushed - f.published + f.done)
		return;
	if (honest && retired > f.published - f.done)
		retired = f.published - f.done;
	rsp.retired = retired;
	for (i = 0; honest && i < SLOTS; i++) {
		rsp.id = (id + i) % SLOTS;
		if (f.op[rsp.id] && !f.answered[rsp.id])
			break;
	}
	if (honest)
		f.answered[rsp.id] = true;
	if (honest)
		f.done += retired;
	rsp.op = rsp.id < SLOTS ? f.op[rsp.id] : 1;
	sring->ring[sring->rsp_prod % SLOTS].rsp = rsp;
	sring->rsp_prod += 1 + (honest || id % 2 ? retired : 0);
}

static void run(const uint8_t *data, size_t size)
{
	size_t i = 0;

	memset(&f, 0, sizeof(f));
	vgpufront_ring_init(&f.front, (void *)f.page, OCTETS);
	while (i + 4 <= size) {
		const uint8_t *move = data + i;
		unsigned int at = (move[1] | move[2] << 8) % OCTETS;

		i += 4;
		switch (move[0] % 8) {
		case 0:
		case 1:
			front_put(move[1], move[2] & 1);
			break;
		case 2:
			vgpufront_ring_push(&f.front);
			f.published = f.quiet;
			break;
		case 3:
			front_get();
			break;
		case 4:
			vgpufront_ring_final_check(&f.front);
			break;
		case 5:
		case 6:
			back_answer(move[1], move[2] % 8, move[0] >= 8);
			break;
		case 7:
			if (move[0] < 32)
				f.page[at] = move[3];
			break;
		}
		check();
	}
}

#ifdef VGPU_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	run(data, size);

	return 0;
}
#else
int main(void)
{
	static uint8_t data[2048];
	unsigned int seed, taken = 0, broken = 0, retired = 0;
	size_t i;

	for (seed = 1; seed <= 20000; seed++) {
		srandom(seed);
		for (i = 0; i < sizeof(data); i++)
			data[i] = random() >> 8;
		/* Half of the runs with an honest backend: they get further. */
		for (i = 0; seed % 2 && i < sizeof(data); i += 4)
			data[i] |= 0x20;
		run(data, sizeof(data));
		taken += f.taken;
		retired += f.retired;
		broken += !!f.front.violation;
	}
	printf("1..3\n%s 1 - 20000 runs: %u responses taken\n",
	       taken > 200000 ? "ok" : "not ok", taken);
	printf("%s 2 - %u quiet requests retired\n",
	       retired > 100000 ? "ok" : "not ok", retired);
	printf("%s 3 - %u hostile backends found out\n",
	       broken > 5000 ? "ok" : "not ok", broken);

	return taken > 200000 && retired > 100000 && broken > 5000 ? 0 : 1;
}
#endif
