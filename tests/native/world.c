// SPDX-License-Identifier: MIT
/*
 * world.c - broker, backend and toolstack for one test (see world.h)
 */
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker.h"
#include "vgpu_nodes.h"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "native world: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static void start_broker(struct world *w, const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	pid_t parent = getpid();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(fd, 64))
		die(path);
	fflush(NULL);
	w->broker = fork();
	if (w->broker < 0)
		die("fork");
	if (!w->broker) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		broker_main(fd);
	}
	close(fd);
}

/* Reports of processes whose stderr nobody reads. */
static void sanitizer_options(const struct world *w)
{
	static const char *const names[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS",
					    "TSAN_OPTIONS"};
	char options[256];

	snprintf(options, sizeof(options), "log_path=%s/report", w->dir);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		setenv(names[i], options, 1);
}

void world_start(struct world *w)
{
	char path[96];

	memset(w, 0, sizeof(*w));
	strcpy(w->dir, "/tmp/vgpu-native-XXXXXX");
	if (!mkdtemp(w->dir))
		die(w->dir);
	/* Where we are root, a worker may be another user, with a report. */
	if (!geteuid() && chmod(w->dir, 01777))
		die(w->dir);
	snprintf(path, sizeof(path), "%s/xen", w->dir);
	start_broker(w, path);
	setenv(NX_ENV_SOCKET, path, 1);
	setenv(NX_ENV_DOMID, "0", 1);
	sanitizer_options(w);
	nx_be(0);
	if (!nx_open_as(&w->ctl, 0, false))
		die("broker");
	w->xs = xs_open(0);
	if (!w->xs)
		die("broker");
}

static void show(const struct world *w, const char *name)
{
	char path[512], buf[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	fprintf(stderr, "--- %s\n", name);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, n, stderr);
	close(fd);
}

void world_show_log(const struct world *w)
{
	show(w, "backend.log");
}

/* Empties and removes the directory; true where there was a report in it. */
static bool remove_dir(struct world *w)
{
	DIR *dir = opendir(w->dir);
	bool reports = false;
	struct dirent *e;
	char path[512];

	while (dir && (e = readdir(dir))) {
		if (!strncmp(e->d_name, "report", 6)) {
			show(w, e->d_name);
			reports = true;
		}
		snprintf(path, sizeof(path), "%s/%s", w->dir, e->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(w->dir);
	return reports;
}

bool world_end(struct world *w)
{
	bool ok = true;
	int status;

	if (w->backend) {
		status = world_backend_end(w, SIGTERM);
		if (status) {
			fprintf(stderr, "vgpubackd ended with %#x\n", status);
			world_show_log(w);
			ok = false;
		}
	}
	xs_close(w->xs);
	nx_close(&w->ctl);
	kill(w->broker, SIGTERM);
	if (waitpid(w->broker, &status, 0) != w->broker ||
	    !WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM) {
		fprintf(stderr, "the broker ended with %#x\n", status);
		ok = false;
	}
	return !remove_dir(w) && ok;
}

/* The program beside the one that runs. */
static void beside(char *path, size_t size, const char *name)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	path[n > 0 ? n : 0] = '\0';
	if (!strrchr(path, '/'))
		die("/proc/self/exe");
	snprintf(strrchr(path, '/'), 64, "/%s", name);
}

void world_backend_start(struct world *w, const char *engine,
			 const char *const *options)
{
	char path[4096], log[96], remembered[96];
	const char *argv[9 + WORLD_OPTIONS + 1] = {
		"vgpubackd",	"--engine", engine,	   "--run-dir", w->dir,
		"--state-file", remembered, "--log-level", "debug",
	};
	int fd;

	snprintf(remembered, sizeof(remembered), "%s/devices", w->dir);
	for (int i = 0; options && options[i]; i++) {
		if (i == WORLD_OPTIONS)
			die("too many options");
		argv[9 + i] = options[i];
	}

	beside(path, sizeof(path) - 64, "vgpubackd");
	snprintf(log, sizeof(log), "%s/backend.log", w->dir);
	fflush(NULL);
	w->backend = fork();
	if (w->backend < 0)
		die("fork");
	if (w->backend)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(126);
	execv(path, (char **)argv);
	_exit(127);
}

int world_backend_end(struct world *w, int sig)
{
	int status = -1;

	kill(w->backend, sig);
	if (waitpid(w->backend, &status, 0) != w->backend)
		die("waitpid");
	w->backend = 0;
	return status;
}

void world_freeze(pid_t pid)
{
	char path[32], line[256];
	const char *state;
	FILE *stat;

	kill(pid, SIGSTOP);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	do {
		sched_yield();
		stat = fopen(path, "r");
		if (!stat || !fgets(line, sizeof(line), stat))
			die(path);
		fclose(stat);
		state = strrchr(line, ')');
	} while (!state || state[2] != 'T');
}

static void control(struct world *w, struct nx_call call)
{
	if (!nx_call(&w->ctl, call, NULL, NULL, NULL, NULL))
		die("broker");
}

void world_domain_make(struct world *w, uint32_t domid, uint32_t max_grants)
{
	control(w,
		(struct nx_call){.op = NX_CREATE, .arg = {domid, max_grants}});
}

void world_domain_destroy(struct world *w, uint32_t domid)
{
	char path[64];

	control(w, (struct nx_call){.op = NX_DESTROY, .arg = {domid}});
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	if (!xs_rm(w->xs, XBT_NULL, path))
		die(path);
}

struct nx_count world_count(struct world *w, uint32_t domid)
{
	struct nx_count out;
	void *data;

	if (!nx_call(&w->ctl, (struct nx_call){.op = NX_COUNT, .arg = {domid}},
		     NULL, NULL, &data, NULL))
		die("broker");
	memcpy(&out, data, sizeof(out));
	free(data);
	return out;
}

bool world_wait_unmapped(struct world *w, uint32_t domid)
{
	int64_t end = now_ms() + WORLD_TIMEOUT_MS;
	struct nx_count count;

	do {
		sched_yield();
		count = world_count(w, domid);
	} while ((count.mapped || count.bound) && now_ms() < end);
	return !count.mapped && !count.bound;
}

void world_conflict(struct world *w, unsigned int n)
{
	control(w, (struct nx_call){.op = NX_CONFLICT, .arg = {n}});
}

static bool write_node(struct world *w, xs_transaction_t t, const char *dir,
		       const char *node, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, node);
	return xs_write(w->xs, t, path, value, strlen(value));
}

static bool make_dir(struct world *w, xs_transaction_t t, const char *dir,
		     uint32_t owner, uint32_t reader)
{
	struct xs_permissions perms[] = {
		{.id = owner, .perms = XS_PERM_NONE},
		{.id = reader, .perms = XS_PERM_READ},
	};

	return xs_mkdir(w->xs, t, dir) &&
	       xs_set_permissions(w->xs, t, dir, perms, 2);
}

static bool write_device(struct world *w, xs_transaction_t t, const char *front,
			 const char *back, uint32_t domid)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", domid);
	return make_dir(w, t, front, domid, 0) &&
	       write_node(w, t, front, VGPU_NODE_BACKEND, back) &&
	       write_node(w, t, front, VGPU_NODE_BACKEND_ID, "0") &&
	       write_node(w, t, front, VGPU_NODE_STATE, "1") &&
	       make_dir(w, t, back, 0, domid) &&
	       write_node(w, t, back, VGPU_NODE_FRONTEND, front) &&
	       write_node(w, t, back, VGPU_NODE_FRONTEND_ID, id) &&
	       write_node(w, t, back, VGPU_NODE_ONLINE, "1") &&
	       write_node(w, t, back, VGPU_NODE_STATE, "1");
}

static void back_path(char *path, size_t size, uint32_t domid, uint32_t devid,
		      const char *node)
{
	snprintf(path, size, "/local/domain/0/backend/vgpu/%u/%u%s%s", domid,
		 devid, *node ? "/" : "", node);
}

static bool write_nodes(struct world *w, xs_transaction_t t, const char *back,
			const char *const *nodes)
{
	for (; *nodes; nodes += 2)
		if (!write_node(w, t, back, nodes[0], nodes[1]))
			return false;
	return true;
}

void world_attach_with(struct world *w, uint32_t domid, uint32_t devid,
		       const char *const *nodes)
{
	char front[96], back[96];
	xs_transaction_t t;

	snprintf(front, sizeof(front), "/local/domain/%u/device/vgpu/%u", domid,
		 devid);
	back_path(back, sizeof(back), domid, devid, "");
	do {
		t = xs_transaction_start(w->xs);
		if (!write_device(w, t, front, back, domid) ||
		    !write_nodes(w, t, back, nodes))
			die("attach");
	} while (!xs_transaction_end(w->xs, t, false) && errno == EAGAIN);
}

void world_attach(struct world *w, uint32_t domid, uint32_t devid)
{
	static const char *const none[] = {NULL};

	world_attach_with(w, domid, devid, none);
}

void world_set(struct world *w, uint32_t domid, uint32_t devid,
	       const char *node, const char *value)
{
	char back[96];

	back_path(back, sizeof(back), domid, devid, "");
	if (!write_node(w, XBT_NULL, back, node, value))
		die(node);
}

void world_detach(struct world *w, uint32_t domid, uint32_t devid)
{
	char back[96];
	xs_transaction_t t;

	back_path(back, sizeof(back), domid, devid, "");
	do {
		t = xs_transaction_start(w->xs);
		if (!write_node(w, t, back, VGPU_NODE_ONLINE, "0") ||
		    !write_node(w, t, back, VGPU_NODE_STATE, "5"))
			die("detach");
	} while (!xs_transaction_end(w->xs, t, false) && errno == EAGAIN);
}

char *world_back_read(struct world *w, uint32_t domid, uint32_t devid,
		      const char *node)
{
	char path[128];

	back_path(path, sizeof(path), domid, devid, node);
	return xs_read(w->xs, XBT_NULL, path, NULL);
}

bool store_wait(struct xs_handle *xs, const char *path, const char *value)
{
	int64_t end = now_ms() + WORLD_TIMEOUT_MS, left;
	struct pollfd fd = {.fd = xs_fileno(xs), .events = POLLIN};
	bool hit = false;

	if (!xs_watch(xs, path, "wait"))
		die(path);
	while (!hit && (left = end - now_ms()) > 0) {
		char *is, **event;

		if (poll(&fd, 1, left) <= 0)
			break;
		while ((event = xs_check_watch(xs)))
			free(event);
		is = xs_read(xs, XBT_NULL, path, NULL);
		hit = value ? is && !strcmp(is, value) : !is;
		free(is);
	}
	xs_unwatch(xs, path, "wait");
	return hit;
}

bool world_wait_back(struct world *w, uint32_t domid, uint32_t devid,
		     enum xenbus_state state)
{
	char path[128], value[4];

	back_path(path, sizeof(path), domid, devid, VGPU_NODE_STATE);
	snprintf(value, sizeof(value), "%d", state);
	if (store_wait(w->xs, path, value))
		return true;
	fprintf(stderr, "%s never became %s\n", path, value);
	world_show_log(w);
	return false;
}

bool world_wait_removed(struct world *w, uint32_t domid)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/0/backend/vgpu/%u", domid);
	if (store_wait(w->xs, path, NULL))
		return true;
	fprintf(stderr, "%s never went\n", path);
	world_show_log(w);
	return false;
}
