// SPDX-License-Identifier: MIT
/*
 * worker.c - vgpu-worker: serves one device of one guest
 *
 * One process a device, one thread (an engine may have more). Started by
 * vgpubackd with a socket (proto.h) and a lease (lease.h). It opens the Xen devices,
 * drops its privileges, opens the engine, filters its system calls, and only
 * then maps the guest's ring and arena. From there on one loop takes turns
 * through ring and engine, without a system call as long as polling.h says so,
 * and else sleeps until the supervisor, the event channel, the engine or the
 * arbiter wakes it. Jobs wait in the gate (gate.h) while the GPU is another
 * worker's.
 *
 * It never speaks to xenstore, never blocks on a guest or on work, and holds
 * nothing that outlives it: its end unmaps and unbinds everything.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cuda/engine.h"
#include "../cuda/remote.h"
#include "../xenstore-schema/values.h"
#include "clock.h"
#include "confine.h"
#include "dma.h"
#include "grants.h"
#include "inherited.h"
#include "log.h"
#include "polling.h"
#include "probe.h"
#include "proto.h"
#include "ring.h"
#include "session.h"

/* Work still in the engine after this is given up, where ring or engine broke. */
#define BROKEN_DEADLINE_MS 2000

/* How often a worker that does not sleep looks at its descriptors. */
#define LOOK_NS 1000000

enum { FD_SUPERVISOR, FD_EVTCHN, FD_ENGINE, FD_LEASE, NR_FDS };

struct worker {
	struct worker_config cfg;
	struct lease *lease;
	struct vgpu_engine *eng;
	struct grants grants;
	struct ring ring;
	void *ring_pages;
	struct session session;
	struct polling polling;
	struct vgpu_stats stats;
	struct pollfd fds[NR_FDS];
	uint64_t looked_at;
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
	struct msg m = {.type = MSG_REPORT};

	w.stats.busy_ns = gate_busy_ns(&w.session.gate);
	m.u.stats = w.stats;
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
	const struct vgpu_engine_config cfg = {
		.gpu = w.cfg.gpu,
		.max_job_ns = (uint64_t)w.cfg.max_launch_ms * 1000000,
	};
	struct vgpu_engine_facts facts;
	char why[VGPU_ENGINE_WHY] = "";

	w.eng = vgpu_engine_open(w.cfg.engine, &cfg, why);
	if (!w.eng)
		failed(w.cfg.engine, why);
	vgpu_engine_facts(w.eng, &facts);
	w.session.rules.modules = facts.modules;
	log_event(LOG_INFO, "engine", F_STR("engine", w.cfg.engine),
		  F_STR("runs", facts.engine), F_STR("device", facts.gpu_name),
		  F_STR("tuning", facts.tuning));
}

static void init_session(void *arena)
{
	struct session *s = &w.session;

	s->ring = &w.ring;
	s->eng = w.eng;
	gate_init(&s->gate, w.eng, w.lease, LEASE_KICK_FD, LEASE_WAKE_FD);
	s->stats = &w.stats;
	s->arena = arena;
	s->rules.arena_len = w.cfg.arena_pages * VGPUIF_PAGE_SIZE;
	s->rules.max_buffers = w.cfg.max_buffers;
	s->rules.kernels = w.cfg.kernels;
	s->objects.quota = w.cfg.mem_quota;
	s->bufs.grants = &w.grants;
	s->bufs.eng =
		dma_test(&w.grants, w.eng, w.cfg.arena_pages) ? w.eng : NULL;
	s->bufs.stats = &w.stats;
	s->bufs.max_pages = w.cfg.max_mapped_pages;
	if (!session_init(s, RING_SIZE(&w.ring.back)))
		failed("out of memory", "");
}

static void connect_guest(void)
{
	uint32_t order = w.cfg.ring_order;
	xenevtchn_port_or_error_t port;
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
	init_session(arena);
	polling_init(&w.polling, w.cfg.poll_us, &w.stats);
	w.fds[FD_SUPERVISOR] =
		(struct pollfd){.fd = WORKER_FD, .events = POLLIN};
	w.fds[FD_EVTCHN] = (struct pollfd){.fd = xenevtchn_fd(w.ring.xce),
					   .events = POLLIN};
	w.fds[FD_ENGINE] =
		(struct pollfd){.fd = vgpu_engine_fd(w.eng), .events = POLLIN};
	w.fds[FD_LEASE] =
		(struct pollfd){.fd = LEASE_WAKE_FD, .events = POLLIN};
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
	w.fds[FD_EVTCHN].fd = -1;
}

static void say_broken(const char *why)
{
	log_event(LOG_ERROR, "broken", F_STR("why", why));
	send_why(MSG_BROKEN, why);
}

static void broken(const char *why)
{
	if (w.stopping)
		return;
	say_broken(why);
	stop(BROKEN_DEADLINE_MS);
}

static const char *lost_why(enum vgpu_status status)
{
	switch (status) {
	case VGPU_RSP_FAULT:
		return "the engine is lost: work faulted on the device";
	case VGPU_RSP_TIMEOUT:
		return "the engine is lost: work exceeded its time limit";
	default:
		return "the engine lost its device";
	}
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
	else if (m.type == MSG_QUOTA)
		w.session.objects.quota = m.u.mem_quota;
}

/*
 * Maps or unmaps pages: up to a tenth of a second for a full buffer. Or asks
 * the engine: up to a second, where it is elsewhere and does not answer. Or ends
 * a module and its functions, which may be many.
 */
static bool is_slow(uint8_t op)
{
	return op == VGPU_OP_BUFFER_MAP || op == VGPU_OP_BUFFER_UNMAP ||
	       op == VGPU_OP_CTX_DESTROY || op == VGPU_OP_INFO ||
	       op == VGPU_OP_MODULE_UNLOAD;
}

/*
 * Takes at most as many requests as the ring has slots, and at most one slow
 * one, so that a guest that never pauses cannot keep us from the supervisor.
 * True: there was one.
 */
static bool serve(bool *slow)
{
	uint32_t left = RING_SIZE(&w.ring.back);
	struct vgpu_request req;
	bool worked = false;

	while (left-- && !*slow && ring_next(&w.ring, &req)) {
		session_request(&w.session, &req);
		*slow = is_slow(req.op);
		worked = true;
	}
	if (w.ring.broken)
		broken("the frontend moved the request producer index out of "
		       "range");
	return worked;
}

/* One turn through engine and ring; its answers leave together. */
static bool turn(bool *slow)
{
	bool worked = session_reap(&w.session);

	/* What comes back now may still say who is to blame. */
	if (w.session.lost)
		stop(BROKEN_DEADLINE_MS);
	if (!w.stopping && serve(slow))
		worked = true;
	ring_push(&w.ring);
	return worked;
}

/* True: what could come now will wake us. */
static bool may_sleep(uint64_t now)
{
	/* --poll-us 0: never. */
	if (w.polling.limit_ns && gate_urgent(&w.session.gate, now)) {
		/* Whoever has to act first may need this processor. */
		sched_yield();
		return false;
	}
	if (!w.stopping && !ring_idle(&w.ring))
		return false;
	if (w.session.ending)
		return false;
	return gate_arm(&w.session.gate);
}

/* poll(2), and what it brings but for work. False: it does not work. */
static bool look(int timeout)
{
	if (poll(w.fds, NR_FDS, timeout) < 0)
		/* revents are those of the last time. */
		return errno == EINTR;
	if (w.fds[FD_SUPERVISOR].revents)
		supervisor_readable();
	if (w.fds[FD_EVTCHN].revents && !ring_event(&w.ring))
		broken("the event channel failed");
	if (w.fds[FD_LEASE].revents)
		gate_woken(&w.session.gate);
	return true;
}

/* Nobody needs to wake us. */
static void awake(void)
{
	ring_awake(&w.ring);
	gate_awake(&w.session.gate);
}

static bool sleep_for_work(uint64_t now)
{
	bool ok = look(clock_until(w.stop_at, now / 1000000));

	awake();
	w.looked_at = clock_ns();
	polling_woken(&w.polling, w.looked_at);
	return ok;
}

static bool look_by_the_way(uint64_t now)
{
	awake();
	if (now - w.looked_at < LOOK_NS)
		return true;
	w.looked_at = now;
	return look(0);
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void run(void)
{
	for (;;) {
		bool slow = false;
		bool worked = turn(&slow);
		uint64_t now;

		if (w.stopping && !w.session.nr_inflight)
			return;
		if (polling_turn(&w.polling, worked) && !slow) {
			if (!worked)
				relax();
			continue;
		}
		now = clock_ns();
		if (w.stopping && now / 1000000 >= w.stop_at)
			return;
		if (!(polling_sleep(&w.polling, now) && may_sleep(now) ?
			      sleep_for_work(now) :
			      look_by_the_way(now)))
			return broken("poll failed");
	}
}

/* Of the sockets that the engine may have to make again; AF_UNSPEC: none. */
static int engine_family(void)
{
	const size_t prefix = strlen(VGPU_ENGINE_REMOTE);
	struct remote_address at;
	char why[VGPU_ENGINE_WHY];

	if (strncmp(w.cfg.engine, VGPU_ENGINE_REMOTE, prefix) ||
	    !remote_parse(w.cfg.engine + prefix, false, &at, why) ||
	    at.kind == REMOTE_DEVICE)
		return AF_UNSPEC;
	return at.sa.any.sa_family;
}

static int serve_main(void)
{
	pid_t supervisor = getppid();
	char why[WORKER_WHY];

	/* A terminal sends ^C to us too; it is the supervisor's to act on. */
	signal(SIGINT, SIG_IGN);
	inherited_config(&w.cfg);
	w.lease = inherited_lease();
	if (!w.lease)
		failed("cannot map the lease", strerror(errno));
	log_set_level(w.cfg.log_level);
	log_set_device(w.cfg.domid, w.cfg.devid);

	connect_xen();
	if (!confine_privileges(supervisor, why, sizeof(why)))
		failed("cannot drop privileges", why);
	open_engine();
	if (!confine_syscalls(engine_family(), why, sizeof(why)))
		failed("cannot filter system calls", why);
	connect_guest();
	send_msg(&(struct msg){.type = MSG_READY});

	run();

	if (w.session.lost)
		say_broken(lost_why(w.session.lost));
	if (w.session.lost || w.session.nr_inflight) {
		/*
		 * The engine still works in the guest's pages, or cannot say
		 * that it does not, so nothing can be unmapped by us: the end
		 * of the process does it.
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
	      "       vgpu-worker --probe [--engine ENGINE] [--gpu N]\n"
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
