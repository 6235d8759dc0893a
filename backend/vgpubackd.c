// SPDX-License-Identifier: MIT
/*
 * vgpubackd.c - the supervisor: lock, signals, and the loop
 *
 * One process in the backend domain, one thread beside the arbiter's. Finds the
 * vgpu devices of its domain in xenstore, passes the sanity gate, offers what it
 * found, checks what guests answer, and runs one vgpu-worker a device. In dom0 it
 * gives remembered domains their devices back. It never opens an engine, never
 * maps a page of a guest, and never waits for one guest while another needs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backd.h"
#include "clock.h"
#include "log.h"
#include "options.h"

#define WATCH_SCAN "scan"

/* How many watch events are taken before children are looked at again. */
#define WATCH_BATCH 4096

static struct backd backd;

static _Noreturn void fatal(const char *what, const char *why)
{
	log_event(LOG_ERROR, "fatal", F_STR("msg", what), F_STR("why", why));
	exit(1);
}

/* Two daemons would fight over every device. Held until we end. */
static void take_lock(const char *dir)
{
	char path[4096], pid[16];
	int fd, n;

	if (mkdir(dir, 0755) && errno != EEXIST)
		fatal(dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/vgpubackd.pid", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		fatal(path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		fatal(path, errno == EWOULDBLOCK ?
				    "another vgpubackd is running" :
				    strerror(errno));
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || write(fd, pid, n) != n)
		fatal(path, strerror(errno));
}

static int take_signals(void)
{
	sigset_t set;
	int fd;

	/* Whoever started us may ignore it, and we would hear of no death. */
	signal(SIGCHLD, SIG_DFL);
	/* The log may be a pipe whose reader ended; workers inherit this. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR1);
	/* Blocked before libxenstore makes its thread, which inherits it. */
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		fatal("sigprocmask", strerror(errno));
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		fatal("signalfd", strerror(errno));
	return fd;
}

static void connect_store(struct backd *bd)
{
	bd->xs = xs_open(0);
	if (!bd->xs)
		fatal("cannot reach xenstored; is this a domain of Xen, and "
		      "does xenstored run?",
		      strerror(errno));
	if (!xs_watch(bd->xs, BACKEND_DIR, WATCH_SCAN))
		fatal("cannot watch " BACKEND_DIR, strerror(errno));
	if (!xs_watch(bd->xs, "@introduceDomain", WATCH_SCAN) ||
	    !xs_watch(bd->xs, "@releaseDomain", WATCH_SCAN))
		log_event(LOG_WARN, "watch",
			  F_STR("msg", "not told of domains that come and go; "
				       "their nodes must tell"),
			  F_STR("why", strerror(errno)));
}

static void store_readable(struct backd *bd)
{
	char **watch;

	for (int i = 0; i < WATCH_BATCH; i++) {
		watch = xs_check_watch(bd->xs);
		if (!watch)
			break;
		if (!remember_watch(bd->remember, watch[XS_WATCH_PATH],
				    watch[XS_WATCH_TOKEN]))
			scan_notice(bd, watch[XS_WATCH_PATH],
				    watch[XS_WATCH_TOKEN]);
		free(watch);
	}
	scan_noticed(bd);
}

static void child_exited(struct backd *bd, pid_t pid, int status)
{
	if (offers_exited(&bd->offers, pid, status)) {
		bd->rescan = true;
		return;
	}
	for (struct device *d = bd->devices; d; d = d->next)
		if (d->worker.pid == pid)
			return device_worker_exited(d, status);
}

static void stop(struct backd *bd)
{
	if (bd->stopping)
		return;
	log_event(LOG_INFO, "stop");
	bd->stopping = true;
	offers_stop(&bd->offers);
	for (struct device *d = bd->devices; d; d = d->next)
		device_stop(d);
}

static void signals_readable(struct backd *bd, int fd)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT)
			stop(bd);
		if (si.ssi_signo == SIGUSR1)
			for (struct device *d = bd->devices; d; d = d->next)
				device_ask_stats(d);
	}
	/* Several deaths can share one SIGCHLD. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_exited(bd, pid, status);
}

static bool workers_left(const struct backd *bd)
{
	for (const struct device *d = bd->devices; d; d = d->next)
		if (d->worker.pid)
			return true;
	return false;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int next_timeout(const struct backd *bd)
{
	uint64_t first = offers_deadline(&bd->offers);

	if (!bd->stopping)
		first = sooner(first, remember_deadline(bd->remember));
	for (const struct device *d = bd->devices; d; d = d->next)
		first = sooner(first, device_deadline(d));
	return clock_until(first, clock_ms());
}

/* What poll(2) waits for; grows with the number of devices. */
enum { POLL_SIGNALS, POLL_STORE, POLL_DEVICES };

static struct pollfd *fds;
static size_t fds_size;

static size_t prepare_poll(struct backd *bd, int sigfd)
{
	size_t n = POLL_DEVICES;

	for (struct device *d = bd->devices; d; d = d->next)
		n++;
	if (n > fds_size) {
		free(fds);
		fds = calloc(n, sizeof(*fds));
		if (!fds)
			fatal("out of memory", strerror(errno));
		fds_size = n;
	}
	fds[POLL_SIGNALS] = (struct pollfd){.fd = sigfd, .events = POLLIN};
	fds[POLL_STORE] =
		(struct pollfd){.fd = xs_fileno(bd->xs), .events = POLLIN};
	n = POLL_DEVICES;
	for (struct device *d = bd->devices; d; d = d->next)
		fds[n++] =
			(struct pollfd){.fd = d->worker.fd, .events = POLLIN};
	return n;
}

/* The list is as prepare_poll() saw it: only scan() changes it. */
static void devices_readable(struct backd *bd)
{
	size_t n = POLL_DEVICES;

	for (struct device *d = bd->devices; d; d = d->next)
		if (fds[n++].revents)
			device_readable(d);
}

static void expire(struct backd *bd)
{
	uint64_t now = clock_ms();

	offers_expire(&bd->offers, now);
	for (struct device *d = bd->devices; d; d = d->next)
		device_expire(d, now);
}

static int loop(struct backd *bd, int sigfd)
{
	while (!bd->stopping || workers_left(bd)) {
		size_t n = prepare_poll(bd, sigfd);
		int timeout =
			bd->rescan && !bd->stopping ? 0 : next_timeout(bd);

		if (poll(fds, n, timeout) < 0) {
			if (errno == EINTR)
				continue;
			fatal("poll", strerror(errno));
		}
		devices_readable(bd);
		if (fds[POLL_SIGNALS].revents)
			signals_readable(bd, sigfd);
		if (fds[POLL_STORE].revents & (POLLERR | POLLHUP | POLLNVAL))
			bd->lost = true;
		else if (fds[POLL_STORE].revents)
			store_readable(bd);
		expire(bd);
		if (bd->offers.fatal) {
			log_event(LOG_ERROR, "fatal",
				  F_STR("msg", "no engine passes its sanity "
					       "gate: nothing to offer"),
				  F_STR("why", bd->offers.gpu[0].why));
			return 1;
		}
		if (!bd->stopping)
			remember_run(bd->remember, clock_ms());
		if (bd->rescan && !bd->stopping)
			scan(bd);
		if (bd->lost)
			fatal("lost the connection to xenstored", "");
	}
	return 0;
}

static void start_arbiter(struct backd *bd, uint32_t slice_us, uint32_t poll_us)
{
	const struct sched_params params = {
		.slice_ns = (uint64_t)slice_us * 1000,
		.min_run_ns = ARBITER_MIN_RUN_NS,
		.grace_ns = ARBITER_GRACE_NS,
	};

	bd->arbiter = arbiter_start(&params);
	if (!bd->arbiter)
		fatal("cannot start the arbiter", strerror(errno));
	arbiter_poll(bd->arbiter, poll_us);
}

int main(int argc, char **argv)
{
	struct options opt;
	int sigfd, rc;

	options_parse(&opt, argc, argv);
	take_lock(opt.run_dir);
	sigfd = take_signals();
	log_event(LOG_INFO, "start", F_STR("version", VGPU_VERSION),
		  F_STR("engine", opt.engine), F_NUM("pid", getpid()));
	connect_store(&backd);
	backd.policy = opt.policy;
	start_arbiter(&backd, opt.slice_us, opt.policy.poll_us);
	offers_start(&backd.offers, opt.engine, opt.policy.kernels);
	/* Where the probe could not even be started, the answer is there now. */
	if (backd.offers.gpu[0].state == OFFER_FAILED &&
	    !offers_none(&backd.offers))
		fatal("cannot run vgpu-worker", backd.offers.gpu[0].why);
	backd.remember = remember_start(backd.xs, opt.state_file);
	backd.rescan = true;
	rc = loop(&backd, sigfd);
	/* Of a loop that failed there may be workers, which end with us. */
	if (!workers_left(&backd))
		arbiter_stop(backd.arbiter);
	remember_end(backd.remember);
	xs_close(backd.xs);
	log_event(LOG_INFO, "end", F_NUM("status", rc));
	return rc;
}
