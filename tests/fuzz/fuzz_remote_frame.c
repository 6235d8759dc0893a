// SPDX-License-Identifier: MIT
/*
 * fuzz_remote_frame.c - octets that mean what they like, at either end
 *
 * The input is cut into pieces and read as frames. What must hold: room is
 * never 0 and lies within the buffers; a frame that is handed out keeps the
 * list's rules; after a bad one nothing comes but a frame that opens a session;
 * and how the octets were cut does not change what is read.
 *
 * With -fsanitize=fuzzer this is a libFuzzer target (build it with
 * -DVGPU_LIBFUZZER); alone it is a TAP test with a fixed number of random runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cuda/remote_frame.h"

static struct {
	struct remote_in in;
	unsigned char payload[REMOTE_PAYLOAD_MAX];
} f;

struct result {
	unsigned int frames, bad;
	uint64_t sum;		/* of all that was handed out */
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz_remote_frame: %s\n", what);
	abort();
}

static void add(struct result *r, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		r->sum = (r->sum ^ p[i]) * UINT64_C(0x100000001b3);
}

static bool opens(unsigned int type)
{
	return type == REMOTE_HELLO || type == REMOTE_HOLD ||
	       type == REMOTE_WELCOME || type == REMOTE_REFUSED;
}

static bool for_server(unsigned int type)
{
	return type == REMOTE_HELLO || type == REMOTE_PING ||
	       type == REMOTE_INFO || type == REMOTE_JOB || type == REMOTE_FREE;
}

static void take(struct result *r, bool synced)
{
	const struct remote_header *h = &f.in.head;

	must(h->magic == REMOTE_MAGIC && !h->reserved0 && !h->reserved1,
	     "a frame with a wrong header");
	must(h->length <= REMOTE_PAYLOAD_MAX, "a frame that is too long");
	must(synced || opens(h->type), "a frame out of sync");
	must(!remote_type_name(h->type) ||
	     for_server(h->type) == (f.in.self == REMOTE_SERVER),
	     "a frame for the other end");
	r->frames++;
	add(r, h, sizeof(*h));
	add(r, f.payload, h->length);
}

static struct result run(enum remote_end self, const uint8_t *data, size_t size,
			 size_t piece)
{
	struct result r = { 0 };
	char why[REMOTE_WHY];
	unsigned char *where;

	remote_in_init(&f.in, self, f.payload);
	while (size) {
		size_t room = remote_in_room(&f.in, &where);
		size_t n = piece < size ? piece : size;
		enum remote_event event;
		bool synced;

		if (n > room)
			n = room;
		must(n > 0, "no room");
		must((where >= f.in.buf &&
		      where + room <= f.in.buf + sizeof(f.in.buf)) ||
		     (where >= f.payload &&
		      where + room <= f.payload + sizeof(f.payload)),
		     "room where there is none");
		memcpy(where, data, n);
		data += n;
		size -= n;
		remote_in_got(&f.in, n);
		do {
			synced = f.in.synced;
			event = remote_in_next(&f.in, why);
			if (event == REMOTE_FRAME)
				take(&r, synced);
			if (event == REMOTE_BAD)
				must(++r.bad && synced && !f.in.synced &&
				     memchr(why, 0, sizeof(why)),
				     "bad, and not out of sync");
		} while (event != REMOTE_MORE);
	}
	return r;
}

/* Returns the frames that were read. */
static unsigned int both_ends(const uint8_t *data, size_t size)
{
	size_t piece = size ? 1 + data[0] % 100 : 1;
	unsigned int frames = 0;

	for (int end = REMOTE_SERVER; end <= REMOTE_CLIENT; end++) {
		struct result a = run((enum remote_end)end, data, size, size);
		struct result b = run((enum remote_end)end, data, size, piece);

		must(a.frames == b.frames && a.bad == b.bad && a.sum == b.sum,
		     "the pieces change what is read");
		frames += a.frames;
	}
	return frames;
}

#ifdef VGPU_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	both_ends(data, size);

	return 0;
}
#else
/* Octets of which some are frames, and most frames nearly right. */
static size_t make(uint8_t *data, size_t size)
{
	static const uint16_t kinds[] = { 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17,
					  18, 42 };
	static const uint32_t lengths[] = { 32, 32, 16, 944, 280, 264, 0, 0, 0,
					    32, 120, 48, 8, 9 };
	size_t len = 0;

	while (len + 2000 < size) {
		unsigned int kind = (unsigned int)random() % 14;
		struct remote_header h = {
			.magic = REMOTE_MAGIC,
			.type = kinds[kind],
			.length = lengths[kind],
			.id = (uint64_t)random(),
		};

		if (random() % 8 == 0)
			((uint8_t *)&h)[random() % 16] ^= (uint8_t)(1 << random() % 8);
		memcpy(data + len, &h, sizeof(h));
		len += sizeof(h);
		for (uint32_t i = 0; i < lengths[kind]; i++)
			data[len++] = (uint8_t)(random() >> 8);
		for (long i = random() % 30 - 20; i > 0; i--)
			data[len++] = random() % 2 ? 0 : (uint8_t)(random() >> 8);
	}
	return len;
}

int main(void)
{
	static uint8_t data[16384];
	unsigned int frames = 0, seed;

	for (seed = 1; seed <= 2000; seed++) {
		srandom(seed);
		frames += both_ends(data, make(data, sizeof(data)));
	}
	printf("1..1\n%s 1 - 2000 runs at both ends: %u frames read\n",
	       frames > 20000 ? "ok" : "not ok", frames);

	return frames > 20000 ? 0 : 1;
}
#endif
