// SPDX-License-Identifier: MIT
/*
 * engined.c - vgpu-engined: an engine for processes elsewhere
 *
 * The parent: one process, one thread. Reads options, has the engine's sanity
 * gate passed once by a child, listens, and starts a child for each connection
 * and one for each character device. It never opens an engine, never reads an
 * octet of a client, and never waits for one.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../backend/clock.h"
#include "../backend/log.h"
#include "engined.h"

/* Before the child of a device is started again; doubles up to the second. */
#define WAIT_MS		100
#define WAIT_MAX_MS	2000
/* How long one job of a client may run on the GPU, unless an option says so. */
#define MAX_LAUNCH_MS	10000
/* A child that lived this long is no reason to wait. */
#define LIVED_MS	10000
/* Children that do not end when told to are killed. */
#define STOP_MS		4000

struct engined {
	struct engined_options opt;
	struct listener listener[ENGINED_LISTENERS];
	unsigned int nr_listeners;
	struct clients clients;
	bool stopping;
	uint64_t kill_at;
};

static void usage(FILE *to)
{
	fputs("usage: vgpu-engined --listen ADDRESS [OPTION]...\n"
	      "Serves an engine (a GPU, or the CPU) to vgpu's remote engine elsewhere. Runs in\n"
	      "the foreground; the log goes to stderr.\n"
	      "\n"
	      "  --listen ADDRESS         unix:PATH, tcp:HOST:PORT, or the path of a character\n"
	      "                           device; may be given more than once\n"
	      "  --engine auto|cpu|cuda   what runs the work; auto (the default) is cuda and,\n"
	      "                           where it fails its sanity gate, cpu\n"
	      "  --gpu N                  which GPU, as nvidia-smi counts (0)\n"
	      "  --max-launch-ms N        how long one job may run on the GPU (10000); 0: for\n"
	      "                           ever\n"
	      "  --insecure-listen        also on addresses that other hosts can reach\n"
	      "  --log-level error|warn|info|debug\n"
	      "  --help, --version\n"
	      "\n"
	      "SIGTERM ends it and its clients.\n",
	      to);
}

static _Noreturn void bad_option(const char *option, const char *value)
{
	fprintf(stderr, "vgpu-engined: %s \"%s\": see vgpu-engined --help\n",
		option, value);
	exit(2);
}

/* A number of so many digits at most. */
static unsigned int parse_number(const char *option, const char *text,
				 size_t digits)
{
	size_t len = strspn(text, "0123456789");

	if (!len || len > digits || text[len])
		bad_option(option, text);
	return (unsigned int)atoi(text);
}

static const char *parse_engine(const char *text)
{
	if (strcmp(text, "auto") && strcmp(text, "cpu") && strcmp(text, "cuda"))
		bad_option("--engine", text);
	return text;
}

static void parse_level(const char *text)
{
	enum log_level level;

	if (!log_level_by_name(text, &level))
		bad_option("--log-level", text);
	log_set_level(level);
}

/* What else this program can be told to be; by itself alone. */
struct child_mode {
	const char *client;	/* --serve */
	bool gate;
};

static void parse_options(int argc, char **argv, struct engined_options *opt,
			  struct child_mode *mode)
{
	enum { LISTEN = 1, ENGINE, GPU, LAUNCH, INSECURE, LEVEL, HELP, VERSION,
	       SERVE, GATE };
	static const struct option options[] = {
		{ "listen", required_argument, NULL, LISTEN },
		{ "engine", required_argument, NULL, ENGINE },
		{ "gpu", required_argument, NULL, GPU },
		{ "max-launch-ms", required_argument, NULL, LAUNCH },
		{ "insecure-listen", no_argument, NULL, INSECURE },
		{ "log-level", required_argument, NULL, LEVEL },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ "serve", required_argument, NULL, SERVE },
		{ "gate", required_argument, NULL, GATE },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case LISTEN:
			if (opt->nr_listen == ENGINED_LISTENERS)
				bad_option("too many: --listen", optarg);
			opt->listen[opt->nr_listen++] = optarg;
			break;
		case ENGINE:
			opt->engine = parse_engine(optarg);
			break;
		case GPU:
			opt->gpu = parse_number("--gpu", optarg, 4);
			break;
		case LAUNCH:
			opt->max_launch_ms = parse_number("--max-launch-ms",
							  optarg, 9);
			break;
		case INSECURE:
			opt->insecure = true;
			break;
		case LEVEL:
			parse_level(optarg);
			break;
		case SERVE:
			mode->client = optarg;
			break;
		case GATE:
			mode->gate = true;
			break;
		case HELP:
			usage(stdout);
			exit(0);
		case VERSION:
			puts("vgpu-engined " VGPU_VERSION);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind == argc && (opt->nr_listen || mode->client || mode->gate))
		return;
	usage(stderr);
	exit(2);
}

static _Noreturn void fatal(const char *what, const char *why)
{
	log_event(LOG_ERROR, "fatal", F_STR("msg", what), F_STR("why", why));
	exit(1);
}

/* Whoever started us may have closed some: no socket is to be our stderr. */
static void take_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int take_signals(void)
{
	sigset_t set;
	int fd;

	/* Whoever started us may ignore it, and we would hear of no death. */
	signal(SIGCHLD, SIG_DFL);
	/* The log may be a pipe whose reader ended. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		fatal("sigprocmask", strerror(errno));
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		fatal("signalfd", strerror(errno));
	return fd;
}

/* The gate's child has ended or we are told to: whatever comes first. */
static bool await_gate(int fd, int sigfd)
{
	struct pollfd pfd[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = sigfd, .events = POLLIN },
	};
	struct signalfd_siginfo si;

	for (;;) {
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			fatal("poll", strerror(errno));
		if (pfd[0].revents)
			return true;
		if (pfd[1].revents && read(sigfd, &si, sizeof(si)) > 0 &&
		    si.ssi_signo != SIGCHLD)
			return false;
	}
}

/* What the engine's gate says, in a process of its own. False: told to end. */
static bool pass_gate(struct engined *d, int sigfd, struct engined_gate *gate)
{
	int fds[2], status = 0;
	ssize_t n = 0;
	bool told;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		fatal("pipe", strerror(errno));
	pid = engined_spawn(&d->opt, "--gate", "self", fds[1], -1);
	if (pid < 0)
		fatal("fork", strerror(errno));
	close(fds[1]);
	told = await_gate(fds[0], sigfd);
	if (told)
		n = read(fds[0], gate, sizeof(*gate));
	else
		kill(pid, SIGKILL);
	close(fds[0]);
	waitpid(pid, &status, 0);
	if (told && n != sizeof(*gate))
		fatal("the engine's sanity gate", WIFSIGNALED(status) ?
					strsignal(WTERMSIG(status)) : "died");
	return told;
}

/* From now on the engine that passed is the only one there is. */
static bool choose_engine(struct engined *d, int sigfd,
			  struct engined_gate *gate)
{
	if (!pass_gate(d, sigfd, gate))
		return false;
	if (!gate->passed)
		fatal("no engine passes its sanity gate", gate->why);
	if (gate->why[0])
		log_event(LOG_WARN, "gate", F_STR("engine", "cuda"),
			  F_STR("result", "failed"), F_STR("why", gate->why));
	d->opt.engine = gate->facts.engine;
	return true;
}

static void check_listeners(struct engined *d)
{
	char why[VGPU_ENGINE_WHY];

	for (unsigned int i = 0; i < d->opt.nr_listen; i++) {
		if (listener_check(d->opt.listen[i], d->opt.insecure,
				   &d->listener[i], why))
			continue;
		fprintf(stderr, "vgpu-engined: --listen: %s\n", why);
		exit(2);
	}
}

static void open_listeners(struct engined *d)
{
	char why[VGPU_ENGINE_WHY];

	for (unsigned int i = 0; i < d->opt.nr_listen; i++) {
		if (listener_open(&d->listener[i], why)) {
			d->nr_listeners++;
			continue;
		}
		while (i--)
			listener_close(&d->listener[i]);
		fatal("cannot listen", why);
	}
}

static void say_ready(const struct engined *d, const struct engined_gate *gate)
{
	char where[1024] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < d->nr_listeners && len < sizeof(where); i++)
		len += (size_t)snprintf(where + len, sizeof(where) - len,
					"%s%s", i ? " " : "",
					d->listener[i].addr.text);
	log_event(LOG_INFO, "ready", F_STR("engine", gate->facts.engine),
		  F_NUM("gpu", d->opt.gpu),
		  F_STR("device", gate->facts.gpu_name),
		  F_STR("driver", gate->facts.driver_version),
		  F_STR("address", where));
}

/* The child of a device ended, or cannot be started: later again. */
static void wait_for_device(struct listener *l)
{
	uint64_t now = clock_ms();

	if (now - l->started > LIVED_MS)
		l->wait = 0;
	l->wait = l->wait ? l->wait * 2 : WAIT_MS;
	if (l->wait > WAIT_MAX_MS)
		l->wait = WAIT_MAX_MS;
	l->start_at = now + l->wait;
}

static void start_device(struct engined *d, struct listener *l)
{
	char why[VGPU_ENGINE_WHY];
	int fd = remote_open_device(l->addr.path, why);

	l->started = clock_ms();
	l->child = 0;
	if (fd < 0) {
		log_event(LOG_DEBUG, "device", F_STR("why", why));
		wait_for_device(l);
		return;
	}
	l->child = engined_spawn(&d->opt, "--serve", l->addr.path, fd, -1);
	close(fd);
	if (l->child > 0)
		return;
	log_event(LOG_ERROR, "fork", F_STR("client", l->addr.path),
		  F_STR("why", strerror(errno)));
	l->child = 0;
	wait_for_device(l);
}

/* Starts the children of devices that are due; when the next one is. */
static uint64_t start_devices(struct engined *d)
{
	uint64_t now = clock_ms(), next = 0;

	for (unsigned int i = 0; i < d->nr_listeners; i++) {
		struct listener *l = &d->listener[i];

		if (l->addr.kind != REMOTE_DEVICE || l->child)
			continue;
		if (l->start_at <= now)
			start_device(d, l);
		if (!l->child && (!next || l->start_at < next))
			next = l->start_at;
	}
	return next;
}

static void child_ended(struct engined *d, pid_t pid, int status)
{
	if (WIFSIGNALED(status) && !d->stopping)
		log_event(LOG_ERROR, "client-died", F_NUM("pid", (uint64_t)pid),
			  F_STR("why", strsignal(WTERMSIG(status))));
	clients_ended(&d->clients, pid);
	for (unsigned int i = 0; i < d->nr_listeners; i++) {
		if (d->listener[i].child != pid)
			continue;
		d->listener[i].child = 0;
		wait_for_device(&d->listener[i]);
	}
}

static unsigned int signal_children(const struct engined *d, int sig)
{
	unsigned int n = clients_signal(&d->clients, sig);

	for (unsigned int i = 0; i < d->nr_listeners; i++)
		if (d->listener[i].child)
			n += !kill(d->listener[i].child, sig);
	return n;
}

static void stop(struct engined *d)
{
	if (d->stopping)
		return;
	log_event(LOG_INFO, "stop");
	d->stopping = true;
	d->kill_at = clock_ms() + STOP_MS;
	for (unsigned int i = 0; i < d->nr_listeners; i++)
		listener_close(&d->listener[i]);
	signal_children(d, SIGTERM);
}

static void signals_readable(struct engined *d, int sigfd)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(sigfd, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo != SIGCHLD)
			stop(d);
	/* Several deaths can share one SIGCHLD. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_ended(d, pid, status);
}

static void loop(struct engined *d, int sigfd)
{
	struct pollfd pfd[ENGINED_LISTENERS + 1];
	uint64_t next;

	while (!d->stopping || signal_children(d, 0)) {
		next = d->stopping ? d->kill_at : start_devices(d);
		for (unsigned int i = 0; i < d->nr_listeners; i++)
			pfd[i] = (struct pollfd){ .fd = d->listener[i].fd,
						  .events = POLLIN };
		pfd[d->nr_listeners] = (struct pollfd){ .fd = sigfd,
							.events = POLLIN };
		if (poll(pfd, d->nr_listeners + 1,
			 clock_until(next, clock_ms())) < 0 && errno != EINTR)
			fatal("poll", strerror(errno));
		if (d->kill_at && clock_ms() >= d->kill_at) {
			signal_children(d, SIGKILL);
			d->kill_at = 0;
		}
		/* First: whoever ended has left a place. */
		if (pfd[d->nr_listeners].revents)
			signals_readable(d, sigfd);
		for (unsigned int i = 0; i < d->nr_listeners; i++)
			if (pfd[i].revents && !d->stopping)
				clients_accept(&d->clients, &d->opt,
					       &d->listener[i]);
	}
}

int main(int argc, char **argv)
{
	/* Large, and there is one a process. */
	static struct engined d = {
		.opt = { .engine = "auto", .max_launch_ms = MAX_LAUNCH_MS },
	};
	static struct engined_gate gate;
	struct child_mode mode = { 0 };
	int sigfd;

	take_standard_files();
	parse_options(argc, argv, &d.opt, &mode);
	if (mode.gate)
		engined_gate(&d.opt);
	if (mode.client)
		engined_serve(&d.opt, mode.client);
	check_listeners(&d);
	sigfd = take_signals();
	if (!choose_engine(&d, sigfd, &gate))
		return 0;
	open_listeners(&d);
	say_ready(&d, &gate);
	loop(&d, sigfd);
	log_event(LOG_INFO, "end");
	return 0;
}
