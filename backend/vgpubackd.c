// SPDX-License-Identifier: MIT
/*
 * vgpubackd.c - the supervisor: options, lock, and the loop
 *
 * One process in the backend domain, one thread. Finds the vgpu devices of its
 * domain in xenstore, passes the sanity gate, offers what it found, checks what
 * guests answer, and runs one vgpu-worker a device. It never opens an engine,
 * never maps a page of a guest, and never waits for one guest while another
 * needs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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

#include "../xenstore-schema/values.h"
#include "backd.h"
#include "clock.h"
#include "log.h"
#include "vgpu_nodes.h"

#define RUN_DIR "/run/xen-vgpu"
#define WATCH_SCAN "scan"

/* How many watch events are taken before children are looked at again. */
#define WATCH_BATCH 4096

static struct backd backd;

static void usage(FILE *to)
{
	fprintf(to,
		"usage: vgpubackd [OPTION]...\n"
		"Serves the vgpu devices of this Xen domain. Runs in the "
		"foreground; the log\n"
		"goes to stderr.\n"
		"\n"
		"  --engine auto|cpu|cuda|remote:ADDRESS\n"
		"                           what runs the work; auto (the "
		"default) is cuda and,\n"
		"                           where it fails its sanity gate, "
		"cpu\n"
		"  --poll-us N              longest time that a worker looks "
		"for work before it\n"
		"                           sleeps, microseconds, 0: never "
		"(%d)\n"
		"  --max-mapped-pages N     of one device at a time (%d)\n"
		"  --max-launch-ms N        how long one kernel of a guest may "
		"run, 0: for ever\n"
		"                           (%d); one that takes longer costs "
		"the guest its worker\n"
		"  --debug-kernels          offer debug-fault, which costs a "
		"guest its worker\n"
		"  --log-level error|warn|info|debug\n"
		"  --run-dir DIR            where the lock is (" RUN_DIR ")\n"
		"  --help, --version\n"
		"\n"
		"SIGTERM closes all devices and ends; SIGUSR1 logs "
		"statistics.\n",
		BACK_POLL_US, BACK_MAPPED_PAGES, BACK_LAUNCH_MS);
}

struct options {
	const char *engine;
	const char *run_dir;
	struct policy policy;
};

static void bad_option(const char *option, const char *value)
{
	fprintf(stderr, "vgpubackd: %s \"%s\": see vgpubackd --help\n", option,
		value);
	exit(2);
}

static uint32_t number(const char *option, const char *text, uint32_t min,
		       uint32_t max)
{
	uint64_t n;

	if (!vgpu_parse_uint(text, strlen(text), max, &n) || n < min)
		bad_option(option, text);
	return n;
}

static void parse_options(int argc, char **argv, struct options *opt)
{
	enum {
		OPT_ENGINE = 1,
		OPT_POLL,
		OPT_PAGES,
		OPT_LAUNCH,
		OPT_DEBUG,
		OPT_LEVEL,
		OPT_RUN_DIR,
		OPT_HELP,
		OPT_VERSION
	};
	static const struct option options[] = {
		{"engine", required_argument, NULL, OPT_ENGINE},
		{"poll-us", required_argument, NULL, OPT_POLL},
		{"max-mapped-pages", required_argument, NULL, OPT_PAGES},
		{"max-launch-ms", required_argument, NULL, OPT_LAUNCH},
		{"debug-kernels", no_argument, NULL, OPT_DEBUG},
		{"log-level", required_argument, NULL, OPT_LEVEL},
		{"run-dir", required_argument, NULL, OPT_RUN_DIR},
		{"help", no_argument, NULL, OPT_HELP},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	enum log_level level;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case OPT_ENGINE:
			if (!offers_engine_ok(optarg))
				bad_option("--engine", optarg);
			opt->engine = optarg;
			break;
		case OPT_POLL:
			opt->policy.poll_us = number("--poll-us", optarg, 0,
						     BACK_MAX_POLL_US);
			break;
		case OPT_PAGES:
			opt->policy.max_mapped_pages =
				number("--max-mapped-pages", optarg, 1,
				       BACK_MAX_MAPPED_PAGES);
			break;
		case OPT_LAUNCH:
			opt->policy.max_launch_ms =
				number("--max-launch-ms", optarg, 0,
				       BACK_MAX_LAUNCH_MS);
			break;
		case OPT_DEBUG:
			opt->policy.kernels |= BACK_DEBUG_KERNELS;
			break;
		case OPT_LEVEL:
			if (!log_level_by_name(optarg, &level))
				bad_option("--log-level", optarg);
			log_set_level(level);
			break;
		case OPT_RUN_DIR:
			opt->run_dir = optarg;
			break;
		case OPT_HELP:
			usage(stdout);
			exit(0);
		case OPT_VERSION:
			puts("vgpubackd " VGPU_VERSION);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(2);
	}
}

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
		scan_notice(bd, watch[XS_WATCH_TOKEN]);
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
		if (bd->rescan && !bd->stopping)
			scan(bd);
		if (bd->lost)
			fatal("lost the connection to xenstored", "");
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options opt = {
		.engine = "auto",
		.run_dir = RUN_DIR,
		.policy = {.poll_us = BACK_POLL_US,
			   .max_mapped_pages = BACK_MAPPED_PAGES,
			   .max_launch_ms = BACK_LAUNCH_MS,
			   .kernels = BACK_KERNELS},
	};
	int sigfd, rc;

	parse_options(argc, argv, &opt);
	take_lock(opt.run_dir);
	sigfd = take_signals();
	log_event(LOG_INFO, "start", F_STR("version", VGPU_VERSION),
		  F_STR("engine", opt.engine), F_NUM("pid", getpid()));
	connect_store(&backd);
	backd.policy = opt.policy;
	offers_start(&backd.offers, opt.engine, opt.policy.kernels);
	/* Where the probe could not even be started, the answer is there now. */
	if (backd.offers.gpu[0].state == OFFER_FAILED)
		fatal("cannot run vgpu-worker", backd.offers.gpu[0].why);
	backd.rescan = true;
	rc = loop(&backd, sigfd);
	xs_close(backd.xs);
	log_event(LOG_INFO, "end", F_NUM("status", rc));
	return rc;
}
