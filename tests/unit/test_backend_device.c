// SPDX-License-Identifier: MIT
/*
 * test_backend_device.c - the supervisor's scan and state machine, end to end
 *
 * Over the xenstore double; a worker is the other end of a socketpair, and
 * dies when the test says so. The test plays toolstack, guest and worker.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backd.h"
#include "clock.h"
#include "fake_xenstore.h"
#include "log.h"

#define B "/local/domain/0/backend/vgpu/7/0"
#define F "/local/domain/7/device/vgpu/0"

/* ---- doubles ---------------------------------------------------------- */

static struct {
	pid_t pid;
	int fd; /* the worker's end */
	unsigned int spawned;
	unsigned int kills;
} worker;
static bool introduced;
static int probe_pipe[2];

bool child_spawn_worker(struct child *c)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	worker.pid = c->pid = 1000 + worker.spawned++;
	worker.fd = sv[1];
	c->fd = sv[0];
	return true;
}

bool child_spawn_probe(struct child *c, const char *engine, unsigned int gpu)
{
	(void)engine;
	(void)gpu;
	assert_int_equal(pipe(probe_pipe), 0);
	c->pid = 500;
	c->fd = probe_pipe[0];
	return true;
}

void child_kill(const struct child *c)
{
	if (c->pid)
		worker.kills++;
}

void child_forget(struct child *c)
{
	if (c->fd >= 0)
		close(c->fd);
	*c = CHILD_NONE;
}

void child_describe(int status, char *buf, size_t size)
{
	snprintf(buf, size, "exit status %d", status);
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	(void)h;
	(void)domid;
	return introduced;
}

/* ---- the supervisor --------------------------------------------------- */

static struct backd bd;

static void probe_says(const char *text)
{
	assert_int_equal(write(probe_pipe[1], text, strlen(text)),
			 strlen(text));
	close(probe_pipe[1]);
	offers_exited(&bd.offers, 500, 0);
}

/* As the loop: until nothing changes any more. */
static void settle(void)
{
	for (int i = 0; i < 5; i++)
		scan(&bd);
}

static struct device *dev(void)
{
	return scan_find(&bd, 7, 0);
}

static const char *state(void)
{
	return fake_xs_get(B "/state");
}

static const char *error(void)
{
	return fake_xs_get(B "/error");
}

static void frontend(const char *value)
{
	fake_xs_set(F "/state", value, NULL);
	settle();
}

static void worker_sends(enum msg_type type, const char *why)
{
	struct msg m = {.type = type};

	snprintf(m.u.why, sizeof(m.u.why), "%s", why);
	assert_int_equal(send(worker.fd, &m, sizeof(m), 0), sizeof(m));
	device_readable(dev());
	settle();
}

static struct msg worker_gets(void)
{
	struct msg m = {0};

	assert_int_equal(recv(worker.fd, &m, sizeof(m), MSG_DONTWAIT),
			 sizeof(m));
	return m;
}

static void worker_ends(int status)
{
	struct device *d = dev();

	assert_int_equal(d->worker.pid, worker.pid);
	close(worker.fd);
	device_worker_exited(d, status);
	settle();
}

static void attach(void)
{
	fake_xs_set(F "/backend", B, "n7,r0");
	fake_xs_set(F "/backend-id", "0", NULL);
	fake_xs_set(F "/state", "1", NULL);
	fake_xs_set(B, "", "n0,r7");
	fake_xs_set(B "/frontend", F, NULL);
	fake_xs_set(B "/frontend-id", "7", NULL);
	fake_xs_set(B "/online", "1", NULL);
	fake_xs_set(B "/state", "1", NULL);
	settle();
}

static void guest_writes(void)
{
	fake_xs_set(F "/version", "1", NULL);
	fake_xs_set(F "/ring-page-order", "0", NULL);
	fake_xs_set(F "/ring-ref", "768", NULL);
	fake_xs_set(F "/event-channel", "15", NULL);
	fake_xs_set(F "/arena-pages", "16", NULL);
	fake_xs_set(F "/arena-ref", "772", NULL);
}

static void connected(void)
{
	attach();
	guest_writes();
	frontend("3");
	worker_gets();
	worker_sends(MSG_READY, "");
	frontend("4");
	assert_string_equal(state(), "4");
}

static int setup(void **s)
{
	(void)s;
	fake_xs_reset(0);
	memset(&bd, 0, sizeof(bd));
	memset(&worker, 0, sizeof(worker));
	introduced = true;
	bd.xs = xs_open(0);
	offers_start(&bd.offers, "cpu");
	probe_says("engine cpu\ngpu-name Test\nbuiltins vector-add\n"
		   "gpu-memory 1024\n");
	return 0;
}

static int teardown(void **s)
{
	(void)s;
	fake_xs_del("/local/domain/0/backend/vgpu");
	settle();
	if (bd.devices)
		worker_ends(0);
	assert_null(bd.devices);
	free(bd.devices);
	return 0;
}

/* ---- tests ------------------------------------------------------------ */

static void offers_then_connects(void **s)
{
	struct msg m;

	(void)s;
	attach();
	assert_string_equal(state(), "2");
	assert_string_equal(fake_xs_get(B "/engine"), "cpu");
	assert_string_equal(fake_xs_get(B "/versions"), "1");
	assert_null(fake_xs_get(B "/gpu-uuid"));
	assert_null(error());
	assert_int_equal(worker.spawned, 0);

	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 1);
	assert_string_equal(state(), "2");
	m = worker_gets();
	assert_int_equal(m.type, MSG_CONFIG);
	assert_int_equal(m.u.config.domid, 7);
	assert_int_equal(m.u.config.ring_ref[0], 768);
	assert_int_equal(m.u.config.event_channel, 15);
	assert_int_equal(m.u.config.arena_ref, 772);
	assert_string_equal(m.u.config.engine, "cpu");
	settle();
	assert_int_equal(worker.spawned, 1);

	worker_sends(MSG_READY, "");
	assert_string_equal(state(), "4");
	frontend("4");
	assert_string_equal(state(), "4");
}

/* The guest reads what we publish, and nobody else does. */
static void published_nodes_are_the_guests_to_read(void **s)
{
	(void)s;
	attach();
	assert_string_equal(fake_xs_get_perms(B "/ops"), "n0,r7");
	assert_string_equal(fake_xs_get_perms(B "/state"), "n0,r7");
}

static void waits_for_the_gate(void **s)
{
	(void)s;
	offers_start(&bd.offers, "cpu");
	attach();
	assert_string_equal(state(), "1");
	probe_says("engine cpu\ngpu-name Test\ngpu-memory 1\n");
	settle();
	assert_string_equal(state(), "2");
}

static void refuses_garbage_and_offers_again(void **s)
{
	(void)s;
	attach();
	guest_writes();
	fake_xs_set(F "/ring-ref", "\033[2J-1", NULL);
	frontend("3");
	assert_string_equal(state(), "6");
	assert_string_equal(error(), "frontend's ring-ref is \"?[2J-1\", must "
				     "be a number 1 ... 4294967295");
	assert_int_equal(worker.spawned, 0);
	/* It stays so until the frontend starts over. */
	settle();
	assert_string_equal(state(), "6");
	frontend("5");
	assert_string_equal(state(), "6");
	frontend("6");
	assert_string_equal(state(), "2");
	assert_null(error());
	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 1);
}

static void refuses_each_missing_node(void **s)
{
	static const char *const nodes[] = {"/version", "/ring-ref",
					    "/event-channel", "/arena-pages",
					    "/arena-ref"};

	(void)s;
	for (size_t i = 0; i < 3; i++) {
		char path[64];

		snprintf(path, sizeof(path), F "%s", nodes[i]);
		attach();
		guest_writes();
		fake_xs_del(path);
		frontend("3");
		assert_string_equal(state(), "6");
		assert_non_null(strstr(error(), "is missing"));
		assert_non_null(strstr(error(), nodes[i] + 1));
		frontend("6");
	}
	assert_int_equal(worker.spawned, 0);
}

static void refuses_a_foreign_frontend(void **s)
{
	(void)s;
	fake_xs_set(B "/frontend", "/local/domain/8/device/vgpu/0", "n0,r7");
	fake_xs_set(B "/frontend-id", "7", NULL);
	fake_xs_set(B "/online", "1", NULL);
	fake_xs_set(B "/state", "1", NULL);
	fake_xs_set(F "/state", "1", "n7,r0");
	settle();
	assert_string_equal(state(), "6");
	assert_non_null(strstr(error(), "frontend"));
}

static void hostile_guest_is_paced(void **s)
{
	int refusals = 0;

	(void)s;
	attach();
	guest_writes();
	fake_xs_set(F "/version", "9", NULL);
	for (int i = 0; i < 100; i++) {
		frontend("3");
		if (!strcmp(state(), "6"))
			refusals +=
				dev()->phase == DEV_CLOSED && !dev()->deadline;
		frontend("6");
		if (strcmp(state(), "2"))
			break;
	}
	assert_in_range(refusals, 2, 5);
	assert_true(device_deadline(dev()) > clock_ms());
	/* And gets its turn again when the time has come. */
	dev()->pace.paid_at = 0;
	device_expire(dev(), device_deadline(dev()));
	assert_string_equal(state(), "2");
}

static void worker_that_fails_is_a_refusal(void **s)
{
	(void)s;
	attach();
	guest_writes();
	frontend("3");
	worker_sends(MSG_FAILED, "cannot map the ring pages");
	assert_string_equal(state(), "5");
	worker_ends(1);
	assert_string_equal(state(), "6");
	assert_string_equal(error(), "cannot map the ring pages");
	frontend("6");
	assert_string_equal(state(), "2");
}

/* The reason is still in the socket when the death is noticed. */
static void last_words_are_heard(void **s)
{
	struct msg m = {.type = MSG_FAILED};

	(void)s;
	attach();
	guest_writes();
	frontend("3");
	strcpy(m.u.why, "no engine");
	assert_int_equal(send(worker.fd, &m, sizeof(m), 0), sizeof(m));
	worker_ends(1);
	assert_string_equal(error(), "no engine");
}

static void worker_death_is_survived(void **s)
{
	(void)s;
	connected();
	worker_ends(11);
	assert_string_equal(state(), "6");
	assert_string_equal(error(), "the worker ended with exit status 11");
	frontend("5");
	assert_string_equal(state(), "6");
	frontend("6");
	assert_string_equal(state(), "2");
	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 2);
	worker_gets();
	worker_sends(MSG_READY, "");
	assert_string_equal(state(), "4");
}

static void broken_ring_closes(void **s)
{
	(void)s;
	connected();
	worker_sends(MSG_BROKEN, "producer index");
	assert_string_equal(state(), "5");
	assert_string_equal(error(), "producer index");
	worker_ends(0);
	assert_string_equal(state(), "6");
}

static void frontend_closes(void **s)
{
	(void)s;
	connected();
	frontend("5");
	assert_string_equal(state(), "5");
	assert_int_equal(worker_gets().type, MSG_STOP);
	worker_ends(0);
	assert_string_equal(state(), "6");
	assert_null(error());
	frontend("6");
	assert_string_equal(state(), "2");
}

static void module_can_be_reloaded_often(void **s)
{
	(void)s;
	connected();
	for (int i = 0; i < 10; i++) {
		frontend("5");
		worker_ends(0);
		frontend("6");
		assert_string_equal(state(), "2");
		guest_writes();
		frontend("3");
		worker_gets();
		worker_sends(MSG_READY, "");
		frontend("4");
	}
	assert_int_equal(worker.spawned, 11);
}

static void detach_ends_in_closed(void **s)
{
	(void)s;
	connected();
	fake_xs_set(B "/online", "0", NULL);
	fake_xs_set(B "/state", "5", NULL);
	settle();
	assert_int_equal(worker_gets().type, MSG_STOP);
	assert_string_equal(state(), "5");
	frontend("6");
	worker_ends(0);
	assert_string_equal(state(), "6");
	settle();
	assert_string_equal(state(), "6");
	/* The toolstack takes both away; then we know nothing of it. */
	fake_xs_del(F);
	fake_xs_del(B);
	settle();
	assert_null(dev());
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

static void detach_of_an_offer(void **s)
{
	(void)s;
	attach();
	fake_xs_set(B "/online", "0", NULL);
	fake_xs_set(B "/state", "5", NULL);
	settle();
	assert_string_equal(state(), "6");
}

static void detach_of_what_is_closed(void **s)
{
	(void)s;
	attach();
	guest_writes();
	fake_xs_del(F "/version");
	frontend("3");
	assert_string_equal(state(), "6");
	fake_xs_set(B "/online", "0", NULL);
	fake_xs_set(B "/state", "5", NULL);
	settle();
	assert_string_equal(state(), "6");
	frontend("6");
	assert_string_equal(state(), "6");
}

static void directory_removed_while_busy(void **s)
{
	(void)s;
	connected();
	fake_xs_del(F);
	fake_xs_del(B);
	settle();
	assert_int_equal(worker_gets().type, MSG_STOP);
	/* Its nodes stay gone, and it is forgotten when the worker has ended. */
	assert_null(state());
	assert_non_null(dev());
	worker_ends(0);
	assert_null(dev());
	assert_null(state());
}

static void directory_made_anew(void **s)
{
	(void)s;
	connected();
	fake_xs_del(F);
	fake_xs_del(B);
	attach();
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
	assert_string_equal(state(), "2");
	assert_null(error());
}

static void domain_gone_while_busy(void **s)
{
	struct msg m;

	(void)s;
	connected();
	introduced = false;
	settle();
	m = worker_gets();
	assert_int_equal(m.type, MSG_STOP);
	/* Its pages are a zombie's: no five seconds for that. */
	assert_true(m.deadline_ms <= 1000);
	fake_xs_del("/local/domain/7");
	settle();
	assert_non_null(state());
	worker_ends(0);
	assert_null(dev());
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
}

/* The toolstack may write both directories before it introduces the domain. */
static void domain_not_there_yet(void **s)
{
	(void)s;
	introduced = false;
	attach();
	assert_string_equal(state(), "1");
	introduced = true;
	settle();
	assert_string_equal(state(), "2");
}

static void stale_directory_at_start(void **s)
{
	(void)s;
	introduced = false;
	fake_xs_set(B "/frontend", F, "n0,r7");
	fake_xs_set(B "/state", "4", NULL);
	settle();
	assert_null(fake_xs_get("/local/domain/0/backend/vgpu/7"));
	assert_null(dev());
}

static void junk_names_are_left_alone(void **s)
{
	(void)s;
	fake_xs_set("/local/domain/0/backend/vgpu/07/0/state", "1", NULL);
	fake_xs_set("/local/domain/0/backend/vgpu/x/0/state", "1", NULL);
	fake_xs_set("/local/domain/0/backend/vgpu/7/00/state", "1", NULL);
	fake_xs_set("/local/domain/0/backend/vgpu/99999/0/state", "1", NULL);
	settle();
	assert_null(bd.devices);
}

/* A daemon that died left Connected behind; the frontend learns of it. */
static void restart_offers_from_any_state(void **s)
{
	(void)s;
	attach();
	fake_xs_set(B "/state", "4", NULL);
	fake_xs_set(F "/state", "4", NULL);
	bd.devices->phase = DEV_NEW;
	bd.devices->written = XenbusStateUnknown;
	settle();
	assert_string_equal(state(), "2");
	assert_int_equal(worker.spawned, 0);
	frontend("1");
	guest_writes();
	frontend("3");
	assert_int_equal(worker.spawned, 1);
}

static void frontend_node_vanishes(void **s)
{
	(void)s;
	connected();
	fake_xs_del(F);
	settle();
	assert_string_equal(state(), "5");
	worker_ends(0);
	assert_string_equal(state(), "6");
	/* The domain is alive: its device is the toolstack's to remove. */
	assert_non_null(dev());
}

static void frontend_state_is_garbage(void **s)
{
	(void)s;
	connected();
	frontend("four");
	assert_string_equal(state(), "5");
	worker_ends(0);
	assert_string_equal(state(), "6");
}

static void worker_that_hangs_is_killed(void **s)
{
	(void)s;
	connected();
	frontend("5");
	assert_in_range(device_deadline(dev()), clock_ms(), clock_ms() + 5000);
	device_expire(dev(), device_deadline(dev()));
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
	assert_string_equal(state(), "6");
}

static void worker_that_never_starts_is_killed(void **s)
{
	(void)s;
	attach();
	guest_writes();
	frontend("3");
	device_expire(dev(), device_deadline(dev()));
	assert_int_equal(worker.kills, 1);
	assert_non_null(strstr(error(), "not ready in time"));
	worker_ends(9);
	assert_string_equal(state(), "6");
}

static void worker_is_not_believed(void **s)
{
	(void)s;
	connected();
	worker_sends(MSG_READY, "");
	assert_int_equal(worker.kills, 1);
	assert_int_equal(send(worker.fd, "x", 1, MSG_NOSIGNAL), -1);
	worker_ends(9);
	assert_string_equal(state(), "6");
}

static void short_message_kills(void **s)
{
	(void)s;
	connected();
	assert_int_equal(send(worker.fd, "x", 1, 0), 1);
	device_readable(dev());
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
}

/* Each report is a line in the log: one that nobody asked for is none. */
static void reports_are_asked_for(void **s)
{
	(void)s;
	connected();
	device_ask_stats(dev());
	assert_int_equal(worker_gets().type, MSG_STATS);
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 0);
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 1);
	worker_ends(9);
}

/* The last report of a worker that broke, and of one that was stopped. */
static void last_report_is_taken(void **s)
{
	(void)s;
	connected();
	worker_sends(MSG_BROKEN, "producer index");
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 0);
	worker_ends(0);
	frontend("6");
	guest_writes();
	frontend("3");
	worker_gets();
	worker_sends(MSG_READY, "");
	frontend("5");
	worker_sends(MSG_REPORT, "");
	assert_int_equal(worker.kills, 0);
	worker_ends(0);
	assert_string_equal(state(), "6");
}

/* A worker at its end that does not die keeps nobody awake. */
static void dead_socket_is_not_polled(void **s)
{
	(void)s;
	connected();
	close(worker.fd);
	device_readable(dev());
	assert_int_equal(worker.kills, 1);
	assert_int_equal(dev()->worker.fd, -1);
	device_worker_exited(dev(), 9);
	assert_string_equal(state(), "6");
}

/* However often a guest changes its state, we look at it once a turn. */
static void flood_of_watches_is_one_look(void **s)
{
	unsigned int before;

	(void)s;
	connected();
	before = fake_xs_reads;
	for (int i = 0; i < 1000; i++)
		scan_notice(&bd, "7/0");
	assert_int_equal(fake_xs_reads, before);
	scan_noticed(&bd);
	assert_in_range(fake_xs_reads - before, 1, 10);
	/* And it is a look. */
	fake_xs_set(F "/state", "5", NULL);
	scan_notice(&bd, "7/0");
	scan_noticed(&bd);
	assert_string_equal(state(), "5");
	before = fake_xs_reads;
	scan_noticed(&bd);
	assert_int_equal(fake_xs_reads, before);
	worker_ends(0);
}

/* The frontend's nodes go in the same moment as its domain. */
static void domain_gone_is_noticed_first(void **s)
{
	(void)s;
	connected();
	introduced = false;
	fake_xs_del("/local/domain/7");
	bd.rescan = false;
	scan_notice(&bd, "7/0");
	scan_noticed(&bd);
	assert_true(bd.rescan);
	settle();
	assert_true(worker_gets().deadline_ms <= 1000);
	worker_ends(0);
}

static void domain_gone_while_closing(void **s)
{
	(void)s;
	connected();
	frontend("5");
	assert_true(device_deadline(dev()) > clock_ms() + 2000);
	introduced = false;
	settle();
	assert_true(device_deadline(dev()) <= clock_ms() + 1000);
	worker_ends(0);
}

static void lost_xenstored_is_noticed(void **s)
{
	(void)s;
	connected();
	fake_xs_errno = EBADF;
	scan(&bd);
	assert_true(bd.lost);
	/* Nothing is taken for gone. */
	assert_non_null(dev());
	assert_int_equal(dev()->phase, DEV_CONNECTED);
	fake_xs_errno = 0;
}

static void shutdown_closes_all(void **s)
{
	(void)s;
	connected();
	bd.stopping = true;
	device_stop(dev());
	assert_string_equal(state(), "5");
	assert_int_equal(worker_gets().type, MSG_STOP);
	device_worker_exited(dev(), 0);
	assert_string_equal(state(), "6");
	/* Nothing is offered any more. */
	fake_xs_set(F "/state", "6", NULL);
	device_check(dev());
	assert_string_equal(state(), "6");
	bd.stopping = false;
	close(worker.fd);
}

static void conflicts_are_retried(void **s)
{
	(void)s;
	fake_xs_conflicts = 3;
	attach();
	assert_string_equal(state(), "2");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(offers_then_connects),
		TEST(published_nodes_are_the_guests_to_read),
		TEST(waits_for_the_gate),
		TEST(refuses_garbage_and_offers_again),
		TEST(refuses_each_missing_node),
		TEST(refuses_a_foreign_frontend),
		TEST(hostile_guest_is_paced),
		TEST(worker_that_fails_is_a_refusal),
		TEST(last_words_are_heard),
		TEST(worker_death_is_survived),
		TEST(broken_ring_closes),
		TEST(frontend_closes),
		TEST(module_can_be_reloaded_often),
		TEST(detach_ends_in_closed),
		TEST(detach_of_an_offer),
		TEST(detach_of_what_is_closed),
		TEST(directory_removed_while_busy),
		TEST(directory_made_anew),
		TEST(domain_gone_while_busy),
		TEST(domain_not_there_yet),
		TEST(stale_directory_at_start),
		TEST(junk_names_are_left_alone),
		TEST(restart_offers_from_any_state),
		TEST(frontend_node_vanishes),
		TEST(frontend_state_is_garbage),
		TEST(worker_that_hangs_is_killed),
		TEST(worker_that_never_starts_is_killed),
		TEST(worker_is_not_believed),
		TEST(short_message_kills),
		TEST(reports_are_asked_for),
		TEST(last_report_is_taken),
		TEST(dead_socket_is_not_polled),
		TEST(flood_of_watches_is_one_look),
		TEST(domain_gone_is_noticed_first),
		TEST(domain_gone_while_closing),
		TEST(lost_xenstored_is_noticed),
		TEST(shutdown_closes_all),
		TEST(conflicts_are_retried),
	};

	/* The log, which expected failures write to. V=1 shows it. */
	if (!getenv("V") && !freopen("/dev/null", "w", stderr))
		return 1;
	log_set_level(LOG_DEBUG);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
