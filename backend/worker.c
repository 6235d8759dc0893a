// SPDX-License-Identifier: MIT
/*
 * worker.c - vgpu-worker: serves one device of one guest
 *
 * One process a device, one thread (an engine may have more). Started by
 * vgpubackd with a socket at WORKER_FD (proto.h). It opens the Xen devices,
 * drops its privileges, opens the engine, filters its system calls, and only
 * then maps the guest's ring and arena. From there on one loop waits for the
 * supervisor, the event channel and the engine.
 *
 * It never speaks to xenstore, never blocks on a guest or on work, and holds
 * nothing that outlives it: its end unmaps and unbinds everything.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cuda/engine.h"
#include "../xenstore-schema/values.h"
#include "clock.h"
#include "confine.h"
#include "grants.h"
#include "log.h"
#include "probe.h"
#include "proto.h"
#include "ring.h"
#include "session.h"

/* Work still in the engine after this is given up, where the ring broke. */
#define BROKEN_DEADLINE_MS 2000

struct worker {
	struct worker_config cfg;
	struct vgpu_engine *eng;
	struct grants grants;
	struct ring ring;
	void *ring_pages;
	struct session session;
	struct vgpu_stats stats;
	bool stopping;
	uint64_t stop_at;
};

/* Too large for a stack, and there is one a process. */
static struct worker w;

static void send_msg(const struct msg *m)
{
	/* Without a supervisor there is nobody to serve for. */
	if (send(WORKER_FD, m, sizeof(*m), MSG_NOSIGNAL) != sizeof(*m))
		_exit(1);
}

static void send_why(enum msg_type type, const char *why)
{
	struct msg m = {.type = type};

	snprintf(m.u.why, sizeof(m.u.why), "%s", why);
	send_msg(&m);
}

static void send_report(void)
{
	struct msg m = {.type = MSG_REPORT, .u.stats = w.stats};

	send_msg(&m);
}

/* Refused before it served: the supervisor tells the guest why. */
static _Noreturn void failed(const char *what, const char *detail)
{
	char why[WORKER_WHY];

	snprintf(why, sizeof(why), "%s%s%s", what, *detail ? ": " : "", detail);
	send_why(MSG_FAILED, why);
	_exit(1);
}

static void connect_xen(void)
{
	if (!grants_open(&w.grants, w.cfg.domid))
		failed("cannot open gntdev", strerror(errno));
	w.ring.xce = xenevtchn_open(NULL, 0);
	if (!w.ring.xce)
		failed("cannot open evtchn", strerror(errno));
}

static void open_engine(void)
{
	const struct vgpu_engine_config cfg = {.gpu = w.cfg.gpu};
	char why[VGPU_ENGINE_WHY] = "";

	w.eng = vgpu_engine_open(w.cfg.engine, &cfg, why);
	if (!w.eng)
		failed(w.cfg.engine, why);
}

static void connect_guest(void)
{
	uint32_t order = w.cfg.ring_order;
	xenevtchn_port_or_error_t port;
	struct session *s = &w.session;
	void *arena;

	w.ring_pages = grants_map(&w.grants, w.cfg.ring_ref, 1u << order);
	if (!w.ring_pages)
		failed("cannot map the ring pages that ring-ref names", "");
	if (grants_map_directory(&w.grants, w.cfg.arena_ref, w.cfg.arena_pages,
				 false, &arena))
		failed("cannot map the arena that arena-ref names", "");
	port = xenevtchn_bind_interdomain(w.ring.xce, w.cfg.domid,
					  w.cfg.event_channel);
	if (port < 0)
		failed("cannot bind to event-channel", strerror(errno));
	ring_init(&w.ring, w.ring_pages, order, w.ring.xce, port, &w.stats);

	s->ring = &w.ring;
	s->eng = w.eng;
	s->stats = &w.stats;
	s->arena = arena;
	s->arena_len = w.cfg.arena_pages * VGPUIF_PAGE_SIZE;
	s->mem_quota = w.cfg.mem_quota;
	s->bufs.grants = &w.grants;
	s->bufs.stats = &w.stats;
	if (!session_init(s, RING_SIZE(&w.ring.back)))
		failed("out of memory", "");
}

static void disconnect_guest(void)
{
	session_end(&w.session);
	grants_unmap(&w.grants, w.session.arena, w.cfg.arena_pages);
	grants_unmap(&w.grants, w.ring_pages, 1u << w.cfg.ring_order);
	xenevtchn_unbind(w.ring.xce, w.ring.port);
	xenevtchn_close(w.ring.xce);
	grants_close(&w.grants);
	vgpu_engine_close(w.eng);
}

/* No request is read from now on; what is in the engine may end. */
static void stop(uint32_t deadline_ms)
{
	if (w.stopping)
		return;
	w.stopping = true;
	w.stop_at = clock_ms() + deadline_ms;
}

static void broken(const char *why)
{
	if (w.stopping)
		return;
	log_event(LOG_ERROR, "broken", F_STR("why", why));
	send_why(MSG_BROKEN, why);
	stop(BROKEN_DEADLINE_MS);
}

static void supervisor_readable(void)
{
	struct msg m;
	ssize_t n = recv(WORKER_FD, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(m))
		_exit(1);
	if (m.type == MSG_STATS)
		send_report();
	else if (m.type == MSG_STOP)
		stop(m.deadline_ms);
}

/* Maps or unmaps pages: up to a tenth of a second for a full buffer. */
static bool is_slow(uint8_t op)
{
	return op == VGPU_OP_BUFFER_MAP || op == VGPU_OP_BUFFER_UNMAP ||
	       op == VGPU_OP_CTX_DESTROY;
}

/*
 * One turn through the ring: at most as many requests as it has slots, and at
 * most one slow one, so that a guest that never pauses cannot keep us from the
 * supervisor. True: nothing is left, the event channel will wake us.
 */
static bool serve(void)
{
	uint32_t budget = RING_SIZE(&w.ring.back);
	struct vgpu_request req;
	bool idle;

	while (budget-- && ring_next(&w.ring, &req)) {
		session_request(&w.session, &req);
		if (is_slow(req.op))
			break;
	}
	ring_push(&w.ring);
	idle = ring_idle(&w.ring);
	if (w.ring.broken)
		broken("the frontend moved the request producer index out of "
		       "range");
	return idle;
}

static void run(void)
{
	enum { SUPERVISOR, EVTCHN, ENGINE, NR };
	struct pollfd fds[NR] = {
		[SUPERVISOR] = {.fd = WORKER_FD, .events = POLLIN},
		[EVTCHN] = {.fd = xenevtchn_fd(w.ring.xce), .events = POLLIN},
		[ENGINE] = {.fd = vgpu_engine_fd(w.eng), .events = POLLIN},
	};
	/* The guest may have queued requests before we were bound. */
	bool idle = false;

	for (;;) {
		int timeout = idle && vgpu_engine_arm(w.eng) ?
				      clock_until(w.stop_at, clock_ms()) :
				      0;

		if (poll(fds, NR, timeout) < 0) {
			/* revents are those of the last turn. */
			if (errno == EINTR)
				continue;
			return broken("poll failed");
		}
		if (fds[SUPERVISOR].revents)
			supervisor_readable();
		session_reap(&w.session);
		if (w.session.engine_lost)
			broken("the engine lost its device");
		if (w.stopping) {
			ring_push(&w.ring);
			if (!w.session.nr_inflight || clock_ms() >= w.stop_at)
				return;
			fds[EVTCHN].fd = -1;
			idle = true;
			continue;
		}
		if (fds[EVTCHN].revents && !ring_event(&w.ring))
			broken("the event channel failed");
		idle = serve();
	}
}

static void check_config(ssize_t len, const struct msg *m)
{
	const struct worker_config *c = &m->u.config;

	if (len != sizeof(*m) || m->type != MSG_CONFIG ||
	    c->ring_order > VGPUIF_MAX_RING_PAGE_ORDER || !c->arena_pages ||
	    c->arena_pages > VGPUIF_MAX_ARENA_PAGES ||
	    c->log_level > LOG_DEBUG ||
	    !memchr(c->engine, '\0', sizeof(c->engine))) {
		fputs("vgpu-worker: started by hand? vgpubackd starts it\n",
		      stderr);
		exit(2);
	}
}

static int serve_main(void)
{
	pid_t supervisor = getppid();
	char why[WORKER_WHY];
	struct msg m;

	/* A terminal sends ^C to us too; it is the supervisor's to act on. */
	signal(SIGINT, SIG_IGN);
	check_config(recv(WORKER_FD, &m, sizeof(m), 0), &m);
	w.cfg = m.u.config;
	log_set_level(w.cfg.log_level);
	log_set_device(w.cfg.domid, w.cfg.devid);

	connect_xen();
	if (!confine_privileges(supervisor, why, sizeof(why)))
		failed("cannot drop privileges", why);
	open_engine();
	if (!confine_syscalls(why, sizeof(why)))
		failed("cannot filter system calls", why);
	connect_guest();
	send_msg(&(struct msg){.type = MSG_READY});

	run();

	if (w.session.nr_inflight) {
		/*
		 * The engine still works in the guest's pages, so nothing can
		 * be unmapped by us: the end of the process does it.
		 */
		session_lose(&w.session);
		ring_push(&w.ring);
		send_report();
		_exit(0);
	}
	send_report();
	disconnect_guest();
	return 0;
}

static void usage(FILE *to)
{
	fputs("usage: vgpu-worker (started by vgpubackd)\n"
	      "       vgpu-worker --probe [--engine auto|cpu|cuda] [--gpu N]\n"
	      "  --probe     pass an engine's sanity gate and print what it "
	      "is\n"
	      "  --help, --version\n",
	      to);
}

int main(int argc, char **argv)
{
	enum { OPT_PROBE = 1, OPT_ENGINE, OPT_GPU, OPT_HELP, OPT_VERSION };
	static const struct option options[] = {
		{"probe", no_argument, NULL, OPT_PROBE},
		{"engine", required_argument, NULL, OPT_ENGINE},
		{"gpu", required_argument, NULL, OPT_GPU},
		{"help", no_argument, NULL, OPT_HELP},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	const char *engine = "auto";
	uint64_t gpu = 0;
	bool probe = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case OPT_PROBE:
			probe = true;
			break;
		case OPT_ENGINE:
			engine = optarg;
			break;
		case OPT_GPU:
			if (vgpu_parse_uint(optarg, strlen(optarg),
					    BACK_MAX_GPUS - 1, &gpu))
				break;
			fprintf(stderr, "vgpu-worker: --gpu is 0 ... %d\n",
				BACK_MAX_GPUS - 1);
			return 2;
		case OPT_HELP:
			usage(stdout);
			return 0;
		case OPT_VERSION:
			puts("vgpu-worker " VGPU_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return 2;
	}
	return probe ? probe_main(engine, gpu) : serve_main();
}
