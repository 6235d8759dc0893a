/* SPDX-License-Identifier: MIT */
/*
 * evil_requests.c - requests that break a rule of vgpuif.h
 *
 * One case is one request made wrong in one place, and the statuses that the
 * header allows for it. After each one a NOP and a vector add must be right:
 * an error response, and nothing else happens.
 */
#include "evil_front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evil_tap.h"
#include "vgpu_nodes.h"

#define S(status) (1u << VGPU_RSP_##status)

/* A handle that is free, and one that is another context's. */
#define FREE_HANDLE 20
#define OTHER_HANDLE 21
#define RO_HANDLE 22

/* Work that lasts, and how often it is tried whether it does. */
#define BIG_PAGES 512
#define TRIES 6

/* Of the last large add; those before it have the next ones. */
#define LAST_ID 99u

struct scene {
	struct evil_link *l;
	struct evil_buffer spare;     /* granted, not mapped: for BUFFER_MAP */
	struct evil_buffer other;     /* mapped in another context */
	struct evil_buffer read_only; /* mapped, VGPU_BUF_READ_ONLY */
};

/* A right request of each kind, to be made wrong. */
static struct vgpu_request map_request(const struct scene *s)
{
	return buffer_map_request(&s->spare, 0);
}

static void expect(struct scene *s, struct vgpu_request req,
		   unsigned int allowed, const char *what)
{
	int status = link_call(s->l, &req);
	bool ok = status >= 0 && allowed >> status & 1;

	if (!ok)
		tap_note("status %d, allowed mask 0x%x", status, allowed);
	tap(ok, "%s: answered as it must be", what);
	if (!link_healthy(s->l)) {
		tap(false, "%s: works afterwards", what);
		if (!link_connect(s->l))
			tap_bail("the device does not come back");
	}
}

/* ---- header of the slot ---- */

static void attack_header(struct scene *s)
{
	struct vgpu_request req;
	char *ops = evil_read(s->l->xs, s->l->back, VGPU_NODE_OPS);
	char name[64], list[512];

	snprintf(list, sizeof(list), " %s ", ops);
	free(ops);
#define TRY(op_name, code, str)                                                \
	snprintf(name, sizeof(name), " %s ", str);                             \
	if (!strstr(list, name))                                               \
		expect(s, link_request(code), S(UNSUPPORTED) | S(NO_GPU),      \
		       "op " str ", which is not offered");
	VGPU_OP_LIST(TRY)
#undef TRY
	expect(s, link_request(0), S(UNSUPPORTED), "op 0");
	expect(s, link_request(32), S(UNSUPPORTED), "op 32");
	expect(s, link_request(255), S(UNSUPPORTED), "op 255");
	req = link_request(VGPU_OP_NOP);
	req.flags = 0x80;
	expect(s, req, S(INVALID), "unknown flag");
	req.flags = 0xff & ~VGPU_REQF_QUIET;
	expect(s, req, S(INVALID), "all flags but quiet");
	req = link_request(VGPU_OP_NOP);
	req.u.octets[55] = 1;
	expect(s, req, S(INVALID), "NOP with a reserved octet set");
	req = link_request(VGPU_OP_FENCE);
	req.u.octets[0] = 1;
	expect(s, req, S(INVALID), "FENCE with a reserved octet set");
}

static void attack_info(struct scene *s)
{
	const uint32_t arena = EVIL_ARENA_PAGES * VGPUIF_PAGE_SIZE;
	static const struct {
		uint32_t offset, length;
		unsigned int allowed;
		const char *what;
	} cases[] = {
		{4, 128, S(INVALID), "INFO at an odd offset"},
		{0, 127, S(INVALID), "INFO with too little room"},
		{0, 0, S(INVALID), "INFO with no room"},
		{arena, 128, S(RANGE), "INFO behind the arena"},
		{arena - 120, 128, S(RANGE), "INFO across the arena's end"},
		{0xfffffff8, 128, S(RANGE),
		 "INFO with offset + length overflow"},
		{0, 0xffffffff, S(RANGE), "INFO with a huge length"},
	};
	struct vgpu_request req;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		req = link_request(VGPU_OP_INFO);
		req.u.info.arena_offset = cases[i].offset;
		req.u.info.length = cases[i].length;
		expect(s, req, cases[i].allowed, cases[i].what);
	}
	req = link_request(VGPU_OP_INFO);
	req.u.info.length = 128;
	req.u.info.reserved[5] = 1;
	expect(s, req, S(INVALID), "INFO with a reserved field set");
}

/* ---- BUFFER_MAP, BUFFER_UNMAP ---- */

static void attack_map_fields(struct scene *s)
{
	struct vgpu_request req;

#define WRONG(change, allowed, what)                                           \
	do {                                                                   \
		req = map_request(s);                                          \
		change;                                                        \
		expect(s, req, allowed, what);                                 \
	} while (0)
	WRONG(req.u.map.handle = 0, S(INVALID), "map: handle 0");
	WRONG(req.u.map.handle = ~0u, S(INVALID), "map: huge handle");
	WRONG(req.u.map.handle = s->l->good[0].handle, S(EXISTS),
	      "map: handle in use");
	WRONG(req.u.map.handle = OTHER_HANDLE, S(EXISTS),
	      "map: handle in use in another context");
	WRONG(req.u.map.flags = 2, S(INVALID), "map: unknown flag");
	WRONG(req.u.map.flags = ~0u, S(INVALID), "map: all flags");
	WRONG(req.u.map.reserved0 = 1, S(INVALID), "map: reserved field set");
	WRONG(req.u.map.reserved[2] = 1ull << 63, S(INVALID),
	      "map: last reserved field set");
	WRONG(req.u.map.nr_pages = 0, S(INVALID), "map: no page");
	WRONG((req.u.map.nr_pages = ~0u,
	       req.u.map.length = (uint64_t)~0u * VGPUIF_PAGE_SIZE),
	      S(INVALID) | S(QUOTA), "map: 2^32 - 1 pages");
	WRONG((req.u.map.nr_pages = 70000,
	       req.u.map.length = 70000ull * VGPUIF_PAGE_SIZE),
	      S(INVALID) | S(QUOTA), "map: more pages than a buffer may have");
	WRONG(req.u.map.first_offset = 4096, S(INVALID),
	      "map: first_offset of a page");
	WRONG(req.u.map.first_offset = ~0u, S(INVALID),
	      "map: huge first_offset");
	WRONG(req.u.map.first_offset = 1, S(INVALID),
	      "map: first_offset pushes the end out");
	WRONG(req.u.map.length = 0, S(INVALID), "map: length 0");
	WRONG(req.u.map.length++, S(INVALID), "map: length beyond the pages");
	WRONG(req.u.map.length = ~0ull, S(INVALID),
	      "map: length that overflows");
	WRONG((req.u.map.length = ~0ull - 7, req.u.map.first_offset = 16),
	      S(INVALID), "map: first_offset + length overflows");
	WRONG(req.u.map.length = (s->spare.pages - 1) * VGPUIF_PAGE_SIZE,
	      S(INVALID), "map: ends before its last page");
	WRONG(req.u.map.directory = ~0u, S(GRANT), "map: huge directory grant");
	WRONG(req.u.map.directory = EVIL_NOT_GRANTED, S(GRANT),
	      "map: directory is not granted");
#undef WRONG
}

/* A changed directory, put right again afterwards. */
static void attack_directory(struct scene *s)
{
	struct vgpu_page_directory *dir = s->spare.dir;
	uint32_t first = dir->gref[0], last = dir->gref[s->spare.pages - 1];
	struct vgpu_request req;

	dir->gref[0] = ~0u;
	expect(s, map_request(s), S(GRANT), "directory: huge grant");
	dir->gref[0] = EVIL_NOT_GRANTED;
	expect(s, map_request(s), S(GRANT), "directory: page is not granted");
	dir->gref[0] = first;
	dir->gref[s->spare.pages - 1] = EVIL_NOT_GRANTED;
	expect(s, map_request(s), S(GRANT),
	       "directory: last page is not granted");
	dir->gref[s->spare.pages - 1] = last;

	/* A chain that ends early, and one that never ends. */
	req = map_request(s);
	req.u.map.nr_pages = VGPU_GREFS_PER_DIRECTORY + 1;
	req.u.map.length = (uint64_t)req.u.map.nr_pages * VGPUIF_PAGE_SIZE;
	for (uint32_t i = 0; i < VGPU_GREFS_PER_DIRECTORY; i++)
		dir->gref[i] = first;
	expect(s, req, S(GRANT) | S(INVALID), "directory: chain ends early");
	dir->next = EVIL_NOT_GRANTED;
	expect(s, req, S(GRANT), "directory: next is not granted");
	dir->next = s->spare.dir_ref;
	expect(s, req, S(OK) | S(GRANT) | S(INVALID) | S(QUOTA) | S(NO_MEMORY),
	       "directory: a cycle");
	req = link_request(VGPU_OP_BUFFER_UNMAP);
	req.u.handle.handle = s->spare.handle;
	link_call(s->l, &req);
	dir->next = 0;
	memset(dir->gref, 0, sizeof(dir->gref));
	memcpy(dir->gref, s->spare.refs,
	       s->spare.pages * sizeof(*s->spare.refs));

	/* The hypervisor holds a read-only grant to its word. */
	req = buffer_map_request(&s->read_only, 0);
	req.u.map.handle = FREE_HANDLE;
	expect(s, req, S(GRANT), "map: read-only grants as writable");
}

static void attack_unmap(struct scene *s)
{
	struct vgpu_request req = link_request(VGPU_OP_BUFFER_UNMAP);
	static const struct {
		uint32_t handle;
		const char *what;
	} cases[] = {
		{0, "unmap: handle 0"},
		{FREE_HANDLE, "unmap: unknown handle"},
		{65536, "unmap: handle beyond max-buffers"},
		{~0u, "unmap: huge handle"},
		{OTHER_HANDLE, "unmap: another context's handle"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		req.id = 0;
		req.u.handle.handle = cases[i].handle;
		expect(s, req, S(NO_HANDLE), cases[i].what);
	}
	req = link_request(VGPU_OP_BUFFER_UNMAP);
	req.u.handle.handle = s->l->good[0].handle;
	req.u.handle.reserved[5] = 1;
	expect(s, req, S(INVALID), "unmap: reserved field set");
}

/*
 * Every handle there is, and one more. Xen lets one page be mapped 64 times by
 * a PV domain, so a page serves 50 buffers.
 */
static void attack_too_many(struct scene *s)
{
	char *text = evil_read(s->l->xs, s->l->back, VGPU_NODE_MAX_BUFFERS);
	unsigned long max = strtoul(text, NULL, 10), h;
	struct evil_buffer page[32] = {0};
	struct vgpu_request req;
	int status = 0;

	free(text);
	for (h = 100; h <= max && h / 50 < 32 && !status; h++) {
		struct evil_buffer *b = &page[h / 50];

		if (!b->data)
			buffer_make(s->l, b, 0, 1, true);
		req = buffer_map_request(b, 0);
		req.ctx = EVIL_CTX + 2;
		req.u.map.handle = h;
		status = link_call(s->l, &req);
	}
	if (!tap(!status && h > max, "buffers up to handle %lu", h - 1))
		tap_note("status %d", status);
	req = map_request(s);
	req.u.map.handle = max + 1;
	expect(s, req, S(INVALID) | S(QUOTA), "one buffer too many");
	req = link_request(VGPU_OP_CTX_DESTROY);
	req.ctx = EVIL_CTX + 2;
	expect(s, req, S(OK), "CTX_DESTROY takes them all");
	req = link_request(VGPU_OP_BUFFER_UNMAP);
	req.ctx = EVIL_CTX + 2;
	req.u.handle.handle = 100;
	expect(s, req, S(NO_HANDLE), "after it they are gone");
	for (size_t i = 0; i < 32; i++)
		buffer_drop(s->l, &page[i]);
}

/* ---- BUILTIN ---- */

static void attack_operands(struct scene *s)
{
	const uint64_t size = 2 * VGPUIF_PAGE_SIZE;
	const uint32_t n = size / 4;
	struct vgpu_request req;

#define WRONG(change, allowed, what)                                           \
	do {                                                                   \
		struct vgpu_operand *o;                                        \
		req = add_request(s->l, n);                                    \
		o = req.u.builtin.operand;                                     \
		change;                                                        \
		(void)o;                                                       \
		expect(s, req, allowed, what);                                 \
	} while (0)
#define ALL_COUNTS(c) (o[0].count = (c), o[1].count = (c), o[2].count = (c))
	WRONG(req.u.builtin.kernel = 0, S(UNSUPPORTED), "add: kernel 0");
	WRONG(req.u.builtin.kernel = 31, S(UNSUPPORTED), "add: kernel 31");
	WRONG(req.u.builtin.kernel = 65535, S(UNSUPPORTED),
	      "add: kernel 65535");
	WRONG(req.u.builtin.param = 1, S(INVALID), "add: param set");
	WRONG(req.u.builtin.param_len = 40, S(INVALID), "add: param_len set");
	WRONG(o[0].handle = 0, S(NO_HANDLE), "add: handle 0");
	WRONG(o[1].handle = FREE_HANDLE, S(NO_HANDLE), "add: unknown handle");
	WRONG(o[2].handle = ~0u, S(NO_HANDLE), "add: huge handle");
	WRONG(o[0].handle = OTHER_HANDLE, S(NO_HANDLE),
	      "add: another context's handle");
	WRONG((o[0].handle = FREE_HANDLE, ALL_COUNTS(0)), S(NO_HANDLE),
	      "add: unknown handle, count 0");
	WRONG(o[1].count = n - 1, S(INVALID), "add: counts differ");
	WRONG(ALL_COUNTS(n + 1), S(RANGE), "add: one element too many");
	WRONG(ALL_COUNTS(~0u), S(RANGE), "add: 2^32 - 1 elements");
	WRONG(o[0].offset = 4, S(RANGE), "add: offset pushes the end out");
	WRONG((o[1].offset = size, ALL_COUNTS(1)), S(RANGE),
	      "add: behind the end");
	WRONG((o[2].offset = ~0ull - 3, ALL_COUNTS(1)), S(RANGE),
	      "add: offset + length overflows");
	WRONG((o[2].offset = 0ull - size, ALL_COUNTS(n)), S(RANGE),
	      "add: offset + length overflows to 0");
	WRONG((o[0].offset = 2, ALL_COUNTS(1)), S(INVALID),
	      "add: input not aligned");
	WRONG((o[2].offset = 1, ALL_COUNTS(1)), S(INVALID),
	      "add: output not aligned");
	WRONG((o[2].handle = RO_HANDLE, ALL_COUNTS(1)), S(ACCESS),
	      "add: output in a read-only buffer");
#undef ALL_COUNTS
#undef WRONG
}

/* ---- ids and objects in flight ---- */

/*
 * Large adds, the last of them with LAST_ID, and right behind them in the same
 * batch second. Where second is answered before the last add it must have met
 * it in flight. *met: it has.
 */
static bool try_behind(struct evil_link *l, unsigned int before,
		       const struct vgpu_request *second, unsigned int allowed,
		       bool *met)
{
	struct vgpu_request add =
		add_request(l, BIG_PAGES * VGPUIF_PAGE_SIZE / 4);
	bool second_ok = false;
	struct vgpu_response rsp;
	uint64_t done = 0; /* bit n: the add with LAST_ID + n */
	unsigned int i;

	for (i = 0; i < 3; i++)
		add.u.builtin.operand[i].handle = FREE_HANDLE;
	for (i = 1; i <= before; i++) {
		add.id = LAST_ID + i;
		link_put(l, &add);
	}
	add.id = LAST_ID;
	link_put(l, &add);
	link_put(l, second);
	link_kick(l);
	for (i = 0; i < before + 2; i++) {
		if (!link_get(l, &rsp))
			return false;
		if (rsp.op == VGPU_OP_BUILTIN) {
			if (!rsp.status && rsp.id - LAST_ID <= before)
				done |= 1ull << (rsp.id - LAST_ID);
			continue;
		}
		*met = allowed >> rsp.status & 1 && !(done & 1);
		second_ok = rsp.id == second->id &&
			    (*met || (i == before + 1 && !rsp.status));
	}
	return second_ok && done == (2ull << before) - 1;
}

/*
 * Again, behind twice as many, where the adds were done too soon: this program
 * or the backend may stand still.
 */
static void behind_a_large_add(struct scene *s, struct vgpu_request second,
			       unsigned int allowed, const char *what)
{
	struct evil_link *l = s->l;
	struct evil_buffer big;
	struct vgpu_request map, unmap;
	unsigned int before;
	bool ok = true, met = false;

	buffer_make(l, &big, FREE_HANDLE, BIG_PAGES, true);
	second.id = LAST_ID - (second.op == VGPU_OP_BUFFER_UNMAP);
	for (int i = 0; i < TRIES && ok && !met; i++) {
		map = buffer_map_request(&big, 0);
		if (!i || second.op == VGPU_OP_BUFFER_UNMAP)
			ok = !link_call(l, &map);
		before = 1u << i;
		if (before > RING_SIZE(&l->ring) - 2)
			before = RING_SIZE(&l->ring) - 2;
		ok = ok && try_behind(l, before, &second, allowed, &met);
	}
	tap(ok, "%s: answered as it must be, and the first one goes on", what);
	tap(met, "%s: while that is in flight", what);
	unmap = link_request(VGPU_OP_BUFFER_UNMAP);
	unmap.u.handle.handle = FREE_HANDLE;
	link_call(l, &unmap);
	buffer_drop(l, &big);
	tap(link_healthy(l), "%s: works afterwards", what);
}

static void attack_in_flight(struct scene *s)
{
	struct vgpu_request req = link_request(VGPU_OP_NOP);

	behind_a_large_add(s, req, S(INVALID), "id in flight used again");
	req = link_request(VGPU_OP_BUFFER_UNMAP);
	req.u.handle.handle = FREE_HANDLE;
	behind_a_large_add(s, req, S(BUSY), "unmap of a buffer in use");
}

static bool set_scene(struct scene *s)
{
	struct vgpu_request req;

	if (!link_connect(s->l))
		return false;
	buffer_make(s->l, &s->spare, FREE_HANDLE, 2, true);
	buffer_make(s->l, &s->other, OTHER_HANDLE, 2, true);
	buffer_make(s->l, &s->read_only, RO_HANDLE, 2, false);
	req = buffer_map_request(&s->other, 0);
	req.ctx = EVIL_CTX + 1;
	if (link_call(s->l, &req))
		return false;
	req = buffer_map_request(&s->read_only, VGPU_BUF_READ_ONLY);
	return link_call(s->l, &req) == VGPU_RSP_OK && link_healthy(s->l);
}

void attack_requests(struct evil_link *l)
{
	struct scene s = {.l = l};

	if (!tap(set_scene(&s), "requests: connected, buffers mapped"))
		return;
	attack_header(&s);
	attack_info(&s);
	attack_map_fields(&s);
	attack_directory(&s);
	attack_unmap(&s);
	attack_operands(&s);
	attack_in_flight(&s);
	attack_too_many(&s);
	tap(link_healthy(l), "requests: works after all of them");
	tap(link_reset(l), "requests: closed, and offered again");
	buffer_drop(l, &s.spare);
	buffer_drop(l, &s.other);
	buffer_drop(l, &s.read_only);
}
