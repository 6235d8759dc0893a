/* SPDX-License-Identifier: MIT */
/*
 * evil_front - a hostile guest: attacks the backend, reports in TAP
 *
 * Runs in a guest that has a vgpu device and no vgpufront.ko. Owns the command
 * line and the attacks on the negotiation. After each attack the device must
 * work: that is the proof that the guest harmed nobody, itself included.
 */
#include "evil_front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/io/xenbus.h>

#include "evil_tap.h"
#include "vgpu_nodes.h"

#define MAX_DEVICES 32

/* What is in use by a guest that vanishes. */
#define BIG_HANDLE 20
#define BIG_PAGES 512

static const char usage[] =
	"usage: evil_front [-d DEVID] [-n COUNT] [-t SECONDS] ATTACK...\n"
	"  connect   no attack: negotiate, NOP, vector add, close\n"
	"  nodes     garbage in the frontend's xenstore nodes\n"
	"  requests  requests that break a rule\n"
	"  compute   the same with memory, blocks and quiet requests\n"
	"  ring      indices, slots that change, notifications without end\n"
	"  vanish    exit while connected with work in flight\n"
	"-d, -n: uses the devices DEVID (0) ... DEVID + COUNT - 1 (COUNT is 1; "
	"nodes\n"
	"takes them in turn, the others use the first)\n"
	"-t: how long the attacks of ring that have no end of their own go on "
	"(3)\n";

/* LONG stands for a value of many digits, MISSING for no node. */
static const char missing[] = "", longest[] = "LONG";

static const struct {
	const char *node;
	const char *value;
} bad_nodes[] = {
	{VGPU_NODE_RING_REF, missing},
	{VGPU_NODE_RING_REF, "0"},
	{VGPU_NODE_RING_REF, "-1"},
	{VGPU_NODE_RING_REF, "banana"},
	{VGPU_NODE_RING_REF, "8 "},
	{VGPU_NODE_RING_REF, "0x10"},
	{VGPU_NODE_RING_REF, "3999"}, /* in the table, not granted */
	{VGPU_NODE_RING_REF, "4294967295"},
	{VGPU_NODE_RING_REF, "4294967296"},
	{VGPU_NODE_RING_REF, longest},
	{VGPU_NODE_RING_PAGE_ORDER, "1"}, /* with no ring-ref0 */
	{VGPU_NODE_RING_PAGE_ORDER, "5"},
	{VGPU_NODE_RING_PAGE_ORDER, "64"},
	{VGPU_NODE_RING_PAGE_ORDER, "-1"},
	{VGPU_NODE_RING_PAGE_ORDER, "4294967296"},
	{VGPU_NODE_RING_PAGE_ORDER, "\x01\xff\n"},
	{VGPU_NODE_EVENT_CHANNEL, missing},
	{VGPU_NODE_EVENT_CHANNEL, "0"},
	{VGPU_NODE_EVENT_CHANNEL, "-1"},
	{VGPU_NODE_EVENT_CHANNEL, "1023"}, /* nobody's */
	{VGPU_NODE_EVENT_CHANNEL, "131071"},
	{VGPU_NODE_EVENT_CHANNEL, "4294967295"},
	{VGPU_NODE_EVENT_CHANNEL, longest},
	{VGPU_NODE_ARENA_REF, missing},
	{VGPU_NODE_ARENA_REF, "0"},
	{VGPU_NODE_ARENA_REF, "3999"},
	{VGPU_NODE_ARENA_REF, "4294967295"},
	{VGPU_NODE_ARENA_PAGES, missing},
	{VGPU_NODE_ARENA_PAGES, "0"},
	{VGPU_NODE_ARENA_PAGES, "257"},
	{VGPU_NODE_ARENA_PAGES,
	 "2"}, /* the directory's second is not granted */
	{VGPU_NODE_ARENA_PAGES, "18446744073709551617"},
	{VGPU_NODE_VERSION, missing},
	{VGPU_NODE_VERSION, "0"},
	{VGPU_NODE_VERSION, "2"},
	{VGPU_NODE_VERSION, "1 "},
	{VGPU_NODE_VERSION, "01"},
	{VGPU_NODE_VERSION, "%s%n"},
};

static void spoil(struct evil_link *l, const char *node, const char *value)
{
	char path[128], many[1024];

	if (value == missing) {
		snprintf(path, sizeof(path), "%s/%s", l->front, node);
		xs_rm(l->xs, XBT_NULL, path);
		return;
	}
	if (value == longest) {
		memset(many, '9', sizeof(many) - 1);
		many[sizeof(many) - 1] = '\0';
		value = many;
	}
	evil_write(l->xs, l->front, node, value);
}

/* Refused with a reason; then a right negotiation works. */
static void expect_refused(struct evil_link *l, const char *what)
{
	link_state(l, XenbusStateInitialised);
	tap(link_refused(l), "%s: refused, with a reason", what);
	tap(link_connect(l) && link_healthy(l), "%s: works afterwards", what);
}

static const char *printable(const char *value)
{
	if (value == missing)
		return "missing";
	return value[0] < ' ' ? "unprintable" : value;
}

static void attack_node(struct evil_link *l, size_t i)
{
	char what[128];

	if (!link_reset(l))
		tap_bail("no way to try the next attack");
	link_prepare(l);
	spoil(l, bad_nodes[i].node, bad_nodes[i].value);
	snprintf(what, sizeof(what), "%s %s", bad_nodes[i].node,
		 printable(bad_nodes[i].value));
	expect_refused(l, what);
}

void attack_nodes(struct evil_link *l, unsigned int n)
{
	size_t i;

	for (i = 0; i < sizeof(bad_nodes) / sizeof(bad_nodes[0]); i++)
		attack_node(&l[i % n], i);
	l = &l[i % n];
	link_reset(l);
	link_prepare(l);
	l->arena_dir->gref[0] = 0xdeadbeef;
	expect_refused(l, "arena directory with a bad grant");
	link_reset(l);
	expect_refused(l, "no node at all");
	evil_write(l->xs, l->front, VGPU_NODE_STATE, "banana");
	evil_write(l->xs, l->front, VGPU_NODE_STATE, "-4");
	evil_write(l->xs, l->front, VGPU_NODE_STATE, "99999999999999999999");
	tap(link_connect(l) && link_healthy(l),
	    "garbage in state: works afterwards");
}

/* Leaves the kernel to clean up: grants in use, work in flight, much of it. */
static void vanish(struct evil_link *l)
{
	struct vgpu_request req;
	struct evil_buffer big;

	if (!tap(link_connect(l) && link_healthy(l), "connected"))
		return;
	buffer_make(l, &big, BIG_HANDLE, BIG_PAGES, true);
	req = buffer_map_request(&big, 0);
	tap(!link_call(l, &req), "a large buffer is mapped");
	for (int i = 0; i < 16; i++) {
		req = add_request(l, BIG_PAGES * VGPUIF_PAGE_SIZE / 4);
		for (int k = 0; k < 3; k++)
			req.u.builtin.operand[k].handle = BIG_HANDLE;
		req.id = i + 1;
		link_put(l, &req);
	}
	link_kick(l);
	exit(tap_end());
}

static void attack(struct evil_link *l, unsigned int n, const char *name,
		   unsigned int seconds)
{
	if (!strcmp(name, "connect"))
		tap(link_connect(l) && link_healthy(l), "connects, and works");
	else if (!strcmp(name, "nodes"))
		attack_nodes(l, n);
	else if (!strcmp(name, "requests"))
		attack_requests(l);
	else if (!strcmp(name, "compute"))
		attack_compute(l);
	else if (!strcmp(name, "ring"))
		attack_ring(l, seconds);
	else if (!strcmp(name, "vanish"))
		vanish(l);
	else
		tap_bail("no attack %s", name);
}

int main(int argc, char **argv)
{
	unsigned int devid = 0, seconds = 3, n = 1;
	struct evil_link link[MAX_DEVICES];
	bool closed = true;
	int opt;

	while ((opt = getopt(argc, argv, "d:n:t:")) != -1) {
		if (opt == 'd')
			devid = atoi(optarg);
		else if (opt == 'n')
			n = atoi(optarg);
		else if (opt == 't')
			seconds = atoi(optarg);
		else
			optind = argc;
	}
	if (optind == argc || !n || n > MAX_DEVICES) {
		fputs(usage, stderr);
		return 2;
	}
	for (unsigned int i = 0; i < n; i++)
		link_open(&link[i], devid + i);
	for (int i = optind; i < argc; i++)
		attack(link, n, argv[i], seconds);
	for (unsigned int i = 0; i < n; i++)
		closed = link_reset(&link[i]) && closed;
	tap(closed, "closed in order, and offered again");
	return tap_end();
}
