// SPDX-License-Identifier: MIT
/*
 * test_native_xen.c - is the harness's Xen as strict as Xen?
 *
 * The rules that backend and frontend must keep to, each seen to be enforced: a
 * harness that let something pass would hide what fails on Xen. Domain 0 maps,
 * domain 7 grants, domain 8 looks on. Xenstore is in test_native_store.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include "memory.h"
#include "world.h"

#define RW (PROT_READ | PROT_WRITE)
#define PAGES 4

static struct world w;
static struct guest_mem mem;
static uint32_t pages[PAGES], refs[PAGES];

static int begin(void **state)
{
	(void)state;
	world_start(&w);
	world_domain_make(&w, 7, 64);
	world_domain_make(&w, 8, 64);
	if (!guest_open(&mem, 7))
		return -1;
	pages[0] = guest_alloc(&mem, PAGES);
	for (uint32_t i = 1; i < PAGES; i++)
		pages[i] = pages[0] + i;
	return 0;
}

static int end(void **state)
{
	(void)state;
	guest_close(&mem);
	return world_end(&w) ? 0 : -1;
}

static void grant(uint32_t to, bool read_only)
{
	assert_true(guest_grant(&mem, to, read_only, pages, PAGES, refs));
}

static void refused(xengnttab_handle *h, uint32_t domid, uint32_t *r,
		    uint32_t n, int prot)
{
	errno = 0;
	assert_null(xengnttab_map_domain_grant_refs(h, n, domid, r, prot));
	assert_int_equal(errno, EINVAL);
}

static void grant_is_shared_memory(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	uint32_t order[] = {2, 0, 1};
	uint32_t *guest, *back;

	(void)state;
	grant(0, false);
	for (int i = 0; i < 3; i++)
		order[i] = refs[order[i]];
	back = xengnttab_map_domain_grant_refs(h, 3, 7, order, RW);
	assert_non_null(back);
	guest = guest_at(&mem, pages[2]);
	*guest = 0x12345678;
	assert_int_equal(*back, 0x12345678);
	back[NX_PAGE / 4] = 0xabcdef;
	guest = guest_at(&mem, pages[0]);
	assert_int_equal(*guest, 0xabcdef);
	assert_int_equal(world_count(&w, 7).mapped, 3);
	assert_int_equal(world_count(&w, 7).mapper, getpid());
	assert_int_equal(xengnttab_unmap(h, back, 3), 0);
	assert_int_equal(world_count(&w, 7).mapped, 0);
	assert_int_equal(xengnttab_close(h), 0);
}

static void map_refuses_what_is_not_granted(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	uint32_t never[] = {refs[0], 50}, outside = 1000000, zero = 0;

	(void)state;
	grant(0, false);
	never[0] = refs[0];
	refused(h, 7, never, 2, RW);
	refused(h, 7, never + 1, 1, PROT_READ);
	refused(h, 7, &outside, 1, PROT_READ);
	refused(h, 7, &zero, 1, PROT_READ);
	refused(h, 7, refs, 0, PROT_READ);
	refused(h, 9, refs, 1, PROT_READ);
	/* Nothing of the refused two is left mapped. */
	assert_int_equal(world_count(&w, 7).mapped, 0);
	xengnttab_close(h);
}

static void map_refuses_another_domains_grant(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0), *other;
	void *back;

	(void)state;
	nx_be(8);
	other = xengnttab_open(NULL, 0);
	nx_be(0);
	grant(8, false);
	refused(h, 7, refs, 1, PROT_READ);
	/* Nor is it a grant of the domain it is for. */
	refused(other, 8, refs, 1, PROT_READ);
	back = xengnttab_map_domain_grant_refs(other, 1, 7, refs, RW);
	assert_non_null(back);
	assert_int_equal(world_count(&w, 7).mapped, 1);
	assert_int_equal(xengnttab_unmap(other, back, 1), 0);
	xengnttab_close(other);
	xengnttab_close(h);
}

static void map_refuses_a_revoked_grant(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);

	(void)state;
	grant(0, false);
	assert_true(guest_end_grant(&mem, refs, 1));
	refused(h, 7, refs, 1, PROT_READ);
	refused(h, 7, refs, PAGES, PROT_READ);
	/* What was ended cannot be ended again. */
	assert_false(guest_end_grant(&mem, refs, 1));
	assert_int_equal(errno, ENOENT);
	xengnttab_close(h);
}

/* What a process does that dies of it must be done in another one. */
static int status_of_write(volatile uint8_t *at)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*at = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void read_only_grant_cannot_be_written(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	uint8_t *back;
	int status;

	(void)state;
	grant(0, true);
	refused(h, 7, refs, 1, RW);
	back = xengnttab_map_domain_grant_refs(h, 1, 7, refs, PROT_READ);
	assert_non_null(back);
	status = status_of_write(back);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_int_not_equal(mprotect(back, NX_PAGE, RW), 0);
	assert_int_equal(errno, EACCES);
	assert_int_equal(xengnttab_unmap(h, back, 1), 0);
	xengnttab_close(h);
}

static void read_only_map_of_a_writable_grant_cannot_be_written(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	uint8_t *back;
	int status;

	(void)state;
	grant(0, false);
	back = xengnttab_map_domain_grant_refs(h, 1, 7, refs, PROT_READ);
	assert_non_null(back);
	status = status_of_write(back);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_int_equal(xengnttab_unmap(h, back, 1), 0);
	xengnttab_close(h);
}

static void mapped_grant_cannot_be_ended(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	void *once, *again;

	(void)state;
	grant(0, false);
	once = xengnttab_map_domain_grant_refs(h, 1, 7, refs + 1, RW);
	again = xengnttab_map_domain_grant_refs(h, PAGES, 7, refs, PROT_READ);
	assert_int_equal(xengnttab_unmap(h, again, PAGES), 0);
	assert_false(guest_end_grant(&mem, refs, PAGES));
	assert_int_equal(errno, EBUSY);
	assert_int_equal(world_count(&w, 7).grants, PAGES);
	assert_int_equal(xengnttab_unmap(h, once, 1), 0);
	assert_true(guest_end_grant(&mem, refs, PAGES));
	assert_int_equal(world_count(&w, 7).grants, 0);
	xengnttab_close(h);
}

static void unmap_must_name_a_mapping(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	uint8_t *back;

	(void)state;
	grant(0, false);
	back = xengnttab_map_domain_grant_refs(h, 2, 7, refs, RW);
	assert_int_equal(xengnttab_unmap(h, back, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(xengnttab_unmap(h, back + NX_PAGE, 1), -1);
	assert_int_equal(xengnttab_unmap(h, back, 2), 0);
	assert_int_equal(xengnttab_unmap(h, back, 2), -1);
	xengnttab_close(h);
}

static void close_with_a_mapping_keeps_it(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	uint8_t *back;

	(void)state;
	grant(0, false);
	back = xengnttab_map_domain_grant_refs(h, 2, 7, refs, RW);
	assert_int_equal(xengnttab_close(h), 0);
	back[0] = 1;
	assert_int_equal(world_count(&w, 7).mapped, 2);
}

static void dead_process_has_nothing_mapped(void **state)
{
	xenevtchn_handle *evt;
	xengnttab_handle *h;
	pid_t pid;
	int port;

	(void)state;
	grant(0, false);
	nx_be(7);
	evt = xenevtchn_open(NULL, 0);
	nx_be(0);
	port = xenevtchn_bind_unbound_port(evt, 0);
	pid = fork();
	if (!pid) {
		h = xengnttab_open(NULL, 0);
		if (!xengnttab_map_domain_grant_refs(h, 2, 7, refs, RW) ||
		    xenevtchn_bind_interdomain(xenevtchn_open(NULL, 0), 7,
					       port) < 0)
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	assert_int_equal(world_count(&w, 7).mapped, 2);
	assert_int_equal(world_count(&w, 7).mapper, pid);
	assert_int_equal(world_count(&w, 7).bound, 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(world_count(&w, 7).mapped, 0);
	assert_int_equal(world_count(&w, 7).bound, 0);
	assert_int_equal(world_count(&w, 0).ports, 0);
	xenevtchn_close(evt);
}

static void mapped_page_makes_a_zombie(void **state)
{
	xengnttab_handle *h = xengnttab_open(NULL, 0);
	uint8_t *back;

	(void)state;
	grant(0, false);
	back = xengnttab_map_domain_grant_refs(h, 1, 7, refs, RW);
	assert_true(xs_is_domain_introduced(w.xs, 7));
	world_domain_destroy(&w, 7);
	assert_false(xs_is_domain_introduced(w.xs, 7));
	assert_int_equal(world_count(&w, 7).zombie, 1);
	refused(h, 7, refs + 1, 1, RW);
	/* Its own handles can do nothing any more. */
	assert_false(guest_end_grant(&mem, refs + 1, 1));
	assert_int_equal(errno, ESRCH);
	assert_int_equal(xengnttab_unmap(h, back, 1), 0);
	assert_int_equal(world_count(&w, 7).zombie, 0);
	xengnttab_close(h);
}

static void grant_table_is_finite(void **state)
{
	uint32_t many[64], out[64];

	(void)state;
	for (int i = 0; i < 64; i++)
		many[i] = pages[0];
	assert_false(guest_grant(&mem, 0, false, many, 64, out));
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(world_count(&w, 7).grants, 0);
	assert_true(guest_grant(&mem, 0, false, many, 64 - NX_FIRST_REF, out));
	assert_true(out[0] >= NX_FIRST_REF);
}

static bool readable(xenevtchn_handle *h)
{
	struct pollfd fd = {.fd = xenevtchn_fd(h), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

struct channel {
	xenevtchn_handle *guest, *back;
	int guest_port, back_port;
};

/* Connected, and the event that Xen sends at a bind is taken. */
static struct channel connect_ports(void)
{
	struct channel c;

	nx_be(7);
	c.guest = xenevtchn_open(NULL, 0);
	nx_be(0);
	c.back = xenevtchn_open(NULL, 0);
	c.guest_port = xenevtchn_bind_unbound_port(c.guest, 0);
	assert_true(c.guest_port > 0);
	c.back_port = xenevtchn_bind_interdomain(c.back, 7, c.guest_port);
	assert_true(c.back_port > 0);
	assert_true(readable(c.back));
	assert_int_equal(xenevtchn_pending(c.back), c.back_port);
	assert_int_equal(xenevtchn_unmask(c.back, c.back_port), 0);
	assert_false(readable(c.back));
	return c;
}

static void disconnect_ports(struct channel *c)
{
	xenevtchn_close(c->guest);
	xenevtchn_close(c->back);
}

static void masked_port_is_silent_until_unmask(void **state)
{
	struct channel c = connect_ports();

	(void)state;
	assert_int_equal(xenevtchn_notify(c.guest, c.guest_port), 0);
	assert_true(readable(c.back));
	/* Not taken yet: it is the same event. */
	xenevtchn_notify(c.guest, c.guest_port);
	assert_int_equal(xenevtchn_pending(c.back), c.back_port);
	assert_false(readable(c.back));
	/* That second one came while the port was masked. */
	assert_int_equal(xenevtchn_unmask(c.back, c.back_port), 0);
	assert_true(readable(c.back));
	assert_int_equal(xenevtchn_pending(c.back), c.back_port);
	for (int i = 0; i < 3; i++)
		xenevtchn_notify(c.guest, c.guest_port);
	assert_false(readable(c.back));
	xenevtchn_unmask(c.back, c.back_port);
	assert_int_equal(xenevtchn_pending(c.back), c.back_port);
	xenevtchn_unmask(c.back, c.back_port);
	assert_false(readable(c.back));
	disconnect_ports(&c);
}

static void events_go_both_ways(void **state)
{
	struct channel c = connect_ports();

	(void)state;
	assert_false(readable(c.guest));
	assert_int_equal(xenevtchn_notify(c.back, c.back_port), 0);
	assert_int_equal(xenevtchn_pending(c.guest), c.guest_port);
	assert_false(readable(c.back));
	disconnect_ports(&c);
}

static void notify_needs_a_port_of_this_handle(void **state)
{
	struct channel c = connect_ports();
	xenevtchn_handle *other = xenevtchn_open(NULL, 0);

	(void)state;
	assert_int_equal(xenevtchn_notify(other, c.back_port), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(xenevtchn_unmask(other, c.back_port), -1);
	assert_int_equal(xenevtchn_unbind(other, c.back_port), -1);
	assert_int_equal(xenevtchn_notify(c.back, c.back_port + 1), -1);
	assert_int_equal(xenevtchn_unbind(c.back, c.back_port), 0);
	assert_int_equal(xenevtchn_notify(c.back, c.back_port), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_false(readable(c.guest));
	xenevtchn_close(other);
	disconnect_ports(&c);
}

static void closed_peer_leaves_an_unbound_port(void **state)
{
	struct channel c = connect_ports();

	(void)state;
	xenevtchn_notify(c.guest, c.guest_port);
	assert_int_equal(xenevtchn_unbind(c.back, c.back_port), 0);
	/* Dropped without a word, as in Xen. */
	assert_int_equal(xenevtchn_notify(c.guest, c.guest_port), 0);
	assert_int_equal(world_count(&w, 7).bound, 0);
	assert_int_equal(world_count(&w, 7).ports, 1);
	/* And it can be bound again: the new peer gets the events. */
	c.back_port = xenevtchn_bind_interdomain(c.back, 7, c.guest_port);
	assert_true(c.back_port > 0);
	assert_int_equal(xenevtchn_pending(c.back), c.back_port);
	xenevtchn_unmask(c.back, c.back_port);
	assert_int_equal(xenevtchn_notify(c.guest, c.guest_port), 0);
	assert_true(readable(c.back));
	disconnect_ports(&c);
}

static void bind_needs_a_port_offered_to_this_domain(void **state)
{
	xenevtchn_handle *back = xenevtchn_open(NULL, 0), *guest, *other;
	int for_8, for_0;

	(void)state;
	nx_be(7);
	guest = xenevtchn_open(NULL, 0);
	nx_be(8);
	other = xenevtchn_open(NULL, 0);
	nx_be(0);
	for_8 = xenevtchn_bind_unbound_port(guest, 8);
	for_0 = xenevtchn_bind_unbound_port(guest, 0);
	assert_int_equal(xenevtchn_bind_interdomain(back, 7, for_8), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(xenevtchn_bind_interdomain(other, 7, for_0), -1);
	assert_int_equal(xenevtchn_bind_interdomain(back, 7, 0), -1);
	assert_int_equal(xenevtchn_bind_interdomain(back, 7, 99), -1);
	assert_int_equal(xenevtchn_bind_interdomain(back, 7, 131071), -1);
	assert_int_equal(xenevtchn_bind_interdomain(back, 9, for_0), -1);
	assert_true(xenevtchn_bind_interdomain(back, 7, for_0) > 0);
	/* It is taken. */
	assert_int_equal(xenevtchn_bind_interdomain(back, 7, for_0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(world_count(&w, 7).bound, 1);
	xenevtchn_close(back);
	xenevtchn_close(guest);
	xenevtchn_close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(grant_is_shared_memory),
		TEST(map_refuses_what_is_not_granted),
		TEST(map_refuses_another_domains_grant),
		TEST(map_refuses_a_revoked_grant),
		TEST(read_only_grant_cannot_be_written),
		TEST(read_only_map_of_a_writable_grant_cannot_be_written),
		TEST(mapped_grant_cannot_be_ended),
		TEST(unmap_must_name_a_mapping),
		TEST(close_with_a_mapping_keeps_it),
		TEST(dead_process_has_nothing_mapped),
		TEST(mapped_page_makes_a_zombie),
		TEST(grant_table_is_finite),
		TEST(masked_port_is_silent_until_unmask),
		TEST(events_go_both_ways),
		TEST(notify_needs_a_port_of_this_handle),
		TEST(closed_peer_leaves_an_unbound_port),
		TEST(bind_needs_a_port_offered_to_this_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
