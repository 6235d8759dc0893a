// SPDX-License-Identifier: MIT
/*
 * supervisor.c - doubles and helpers for tests of the supervisor (supervisor.h)
 */
#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/* ---- doubles ---------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

/* Time stands still: what is paced, or late, is so however long a test takes. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){.tv_sec = 100000};
	return 0;
}

struct fake_worker worker;
struct fake_share share;
struct backd bd;
bool introduced;
int introduced_errno;
static int probe_pipe[2];

bool child_spawn_worker(struct child *c, const struct arbiter_fds *lease,
			const char *mps)
{
	int sv[2];

	assert_int_equal(lease->lease, 40);
	worker.mps = mps;
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

/* The arbiter has one client at most. */
struct arbiter_client *arbiter_add(struct arbiter *a, uint32_t gpu,
				   uint32_t weight, uint32_t cap,
				   struct arbiter_fds *fds)
{
	(void)a;
	assert_false(share.there);
	share = (struct fake_share){.there = true,
				    .gpu = gpu,
				    .weight = weight,
				    .cap = cap,
				    .sets = share.sets};
	*fds = (struct arbiter_fds){40, 41, 42};
	return (struct arbiter_client *)&share;
}

void arbiter_remove(struct arbiter *a, struct arbiter_client *c)
{
	(void)a;
	assert_ptr_equal(c, &share);
	assert_true(share.there);
	share.there = false;
}

void arbiter_set(struct arbiter *a, struct arbiter_client *c, uint32_t weight,
		 uint32_t cap)
{
	(void)a;
	assert_ptr_equal(c, &share);
	share.weight = weight;
	share.cap = cap;
	share.sets++;
}

void arbiter_use(struct arbiter *a, struct arbiter_client *c,
		 struct arbiter_use *use)
{
	(void)a;
	assert_ptr_equal(c, &share);
	memset(use, 0, sizeof(*use));
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	(void)h;
	(void)domid;
	errno = introduced ? 0 : introduced_errno;
	return introduced;
}

/* ---- the supervisor --------------------------------------------------- */

void probe_says(const char *text)
{
	assert_int_equal(write(probe_pipe[1], text, strlen(text)),
			 strlen(text));
	close(probe_pipe[1]);
	offers_exited(&bd.offers, 500, 0);
}

void settle(void)
{
	for (int i = 0; i < 5; i++)
		scan(&bd);
}

struct device *dev(void)
{
	return scan_find(&bd, 7, 0);
}

const char *state(void)
{
	return fake_xs_get(B "/state");
}

const char *error(void)
{
	return fake_xs_get(B "/error");
}

void frontend(const char *value)
{
	fake_xs_set(F "/state", value, NULL);
	settle();
}

void worker_sends(enum msg_type type, const char *why)
{
	struct msg m = {.type = type};

	snprintf(m.u.why, sizeof(m.u.why), "%s", why);
	assert_int_equal(send(worker.fd, &m, sizeof(m), 0), sizeof(m));
	device_readable(dev());
	settle();
}

struct msg worker_gets(void)
{
	struct msg m = {0};

	assert_int_equal(recv(worker.fd, &m, sizeof(m), MSG_DONTWAIT),
			 sizeof(m));
	return m;
}

void worker_ends(int status)
{
	struct device *d = dev();

	assert_int_equal(d->worker.pid, worker.pid);
	close(worker.fd);
	device_worker_exited(d, status);
	settle();
}

void attach(void)
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

void guest_writes(void)
{
	fake_xs_set(F "/version", "1", NULL);
	fake_xs_set(F "/ring-page-order", "0", NULL);
	fake_xs_set(F "/ring-ref", "768", NULL);
	fake_xs_set(F "/event-channel", "15", NULL);
	fake_xs_set(F "/arena-pages", "16", NULL);
	fake_xs_set(F "/arena-ref", "772", NULL);
}

void connected(void)
{
	attach();
	guest_writes();
	frontend("3");
	worker_gets();
	worker_sends(MSG_READY, "");
	frontend("4");
	assert_string_equal(state(), "4");
}

int setup(void **s)
{
	(void)s;
	fake_xs_reset(0);
	memset(&bd, 0, sizeof(bd));
	memset(&worker, 0, sizeof(worker));
	memset(&share, 0, sizeof(share));
	introduced = true;
	introduced_errno = 0;
	/* The log, which expected failures write to. V=1 shows it. */
	log_set_level(LOG_DEBUG);
	if (!getenv("V") && !freopen("/dev/null", "w", stderr))
		return -1;
	bd.xs = xs_open(0);
	bd.policy = (struct policy){.poll_us = 20,
				    .max_mapped_pages = 3000,
				    .max_launch_ms = 4000,
				    .kernels = BACK_KERNELS};
	offers_start(&bd.offers, "cpu", BACK_KERNELS);
	probe_says("engine cpu\ngpu-name Test\nbuiltins vector-add\n"
		   "gpu-memory 1024\n");
	return 0;
}

int teardown(void **s)
{
	(void)s;
	fake_xs_del("/local/domain/0/backend/vgpu");
	settle();
	if (bd.devices)
		worker_ends(0);
	assert_null(bd.devices);
	assert_false(share.there);
	free(bd.devices);
	return 0;
}
