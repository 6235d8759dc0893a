// SPDX-License-Identifier: MIT
/*
 * remote_peer.c - the other end of a remote connection (see remote_peer.h)
 *
 * Runs on any one thread at a time. Blocks, but never for longer than PEER_MS.
 */
#include "remote_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

unsigned int peer_frees;

void peer_must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! remote peer: %s\n", what);
	fflush(stdout);
	abort();
}

static void await(int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	peer_must(poll(&pfd, 1, PEER_MS) == 1, "the far end hangs");
}

void peer_make(struct peer_frame *f, unsigned int type, uint64_t id,
	       const void *body, size_t len)
{
	f->h = (struct remote_header){
		.magic = REMOTE_MAGIC,
		.type = (uint16_t)type,
		.length = (uint32_t)len,
		.id = id,
	};
	if (body)
		memcpy(f->body, body, len);
	else
		memset(f->body, 0, len);
}

/* The nonce of the session on a descriptor. */
#define PEER_FDS 1024
static uint8_t nonces[PEER_FDS][REMOTE_NONCE];

static uint8_t *nonce_of(int fd)
{
	peer_must(fd >= 0 && fd < PEER_FDS, "too many descriptors");
	return nonces[fd];
}

static size_t head_of(const struct peer_frame *f)
{
	return f->h.type == REMOTE_JOB ? sizeof(struct remote_job) :
					 sizeof(struct remote_done);
}

void peer_session(int fd, const uint8_t nonce[REMOTE_NONCE])
{
	memcpy(nonce_of(fd), nonce, REMOTE_NONCE);
}

size_t peer_data(const struct peer_frame *f)
{
	peer_must(f->h.length >= head_of(f) + REMOTE_MARK, "a short frame");
	return f->h.length - head_of(f) - REMOTE_MARK;
}

void peer_mark(int fd, struct peer_frame *f)
{
	if ((f->h.type == REMOTE_JOB || f->h.type == REMOTE_DONE) &&
	    f->h.length >= REMOTE_MARK && f->h.length <= sizeof(f->body))
		memcpy(f->body + f->h.length - REMOTE_MARK, nonce_of(fd),
		       REMOTE_MARK);
}

bool peer_is_marked(int fd, const struct peer_frame *f)
{
	return !memcmp(f->body + f->h.length - REMOTE_MARK, nonce_of(fd),
		       REMOTE_MARK);
}

static void make_marked(struct peer_frame *f, unsigned int type, uint64_t id,
			const void *head, size_t head_len, const void *data,
			size_t len)
{
	peer_make(f, type, id, head, head_len);
	if (data)
		memcpy(f->body + head_len, data, len);
	else
		memset(f->body + head_len, 0, len);
	f->h.length += (uint32_t)len + REMOTE_MARK;
}

void peer_make_job(struct peer_frame *f, uint64_t id, const struct remote_job *j,
		   const void *data, size_t len)
{
	make_marked(f, REMOTE_JOB, id, j, sizeof(*j), data, len);
}

void peer_make_done(struct peer_frame *f, uint64_t id,
		    const struct remote_done *d, const void *data, size_t len)
{
	make_marked(f, REMOTE_DONE, id, d, sizeof(*d), data, len);
}

void peer_make_add(struct peer_frame *f, uint64_t id, uint32_t stream,
		   const float *a, const float *b, uint32_t count)
{
	const struct remote_job job = {
		.op = VGPU_OP_BUILTIN,
		.kernel = VGPU_KERNEL_VECTOR_ADD,
		.stream = stream,
		.operand = {{.count = count}, {.count = count}, {.count = count}},
	};

	peer_make_job(f, id, &job, NULL, 2 * (size_t)count * 4);
	memcpy(f->body + sizeof(job), a, count * 4);
	memcpy(f->body + sizeof(job) + count * 4, b, count * 4);
}

bool peer_send(int fd, const void *data, size_t len, size_t piece)
{
	const unsigned char *p = data;

	while (len) {
		ssize_t n;

		await(fd, POLLOUT);
		n = write(fd, p, piece && piece < len ? piece : len);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

void peer_put(int fd, struct peer_frame *f)
{
	peer_mark(fd, f);
	peer_must(peer_send(fd, f, peer_octets(f), 0), "the end came while sending");
}

static bool get_octets(int fd, void *data, size_t len)
{
	unsigned char *p = data;

	while (len) {
		ssize_t n;

		await(fd, POLLIN);
		n = read(fd, p, len);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return true;
}

bool peer_get(int fd, struct peer_frame *f)
{
	if (!get_octets(fd, &f->h, sizeof(f->h)))
		return false;
	peer_must(f->h.magic == REMOTE_MAGIC, "a frame without magic");
	peer_must(f->h.length <= sizeof(f->body), "a frame that is too long");
	return get_octets(fd, f->body, f->h.length);
}

void peer_expect(int fd, unsigned int type, struct peer_frame *f)
{
	do {
		peer_must(peer_get(fd, f), "the end came before the frame");
	} while (f->h.type != type);
}

void peer_expect_end(int fd)
{
	static struct peer_frame f;

	while (peer_get(fd, &f))
		;
	close(fd);
}

void peer_hello(int fd, uint32_t version, uint8_t nonce)
{
	struct remote_hello hello = {.version = version};
	struct peer_frame *f = malloc(sizeof(*f));

	memset(hello.nonce, nonce, sizeof(hello.nonce));
	peer_session(fd, hello.nonce);
	peer_make(f, REMOTE_HELLO, 0, &hello, sizeof(hello));
	peer_put(fd, f);
	free(f);
}

void peer_begin(int fd, uint8_t nonce)
{
	struct peer_frame *f = malloc(sizeof(*f));

	peer_hello(fd, REMOTE_VERSION, nonce);
	peer_expect(fd, REMOTE_WELCOME, f);
	for (int i = 0; i < REMOTE_NONCE; i++)
		peer_must(f->body[i] == nonce, "another nonce");
	free(f);
}

void peer_welcome(int fd, const char *name)
{
	peer_welcome_as(fd, "cpu", name);
}

bool peer_try_welcome(int fd, const char *engine, const char *name)
{
	struct remote_welcome w = {
		.version = REMOTE_VERSION,
		.window = 4,
		.capabilities = REMOTE_CAP_BUILTIN | REMOTE_CAP_INFO,
		.memory = 1 << 30,
		.builtins = "vector-add",
	};
	struct peer_frame *f = malloc(sizeof(*f));
	bool ok;

	if (strcmp(engine, "cpu"))
		w.capabilities |= REMOTE_CAP_MODULES;
	strcpy(w.engine, engine);
	strcpy(w.gpu_name, name);
	ok = peer_get(fd, f);
	if (ok) {
		peer_must(f->h.type == REMOTE_HELLO, "no HELLO");
		memcpy(w.nonce, f->body, REMOTE_NONCE);
		peer_session(fd, f->body);
		peer_make(f, REMOTE_WELCOME, 0, &w, sizeof(w));
		ok = peer_send(fd, f, peer_octets(f), 0);
	}
	free(f);
	return ok;
}

void peer_welcome_as(int fd, const char *engine, const char *name)
{
	peer_must(peer_try_welcome(fd, engine, name),
		  "the end came before WELCOME");
}

bool peer_next_job(int fd, struct peer_frame *job)
{
	struct peer_frame *pong;

	for (;;) {
		if (!peer_get(fd, job))
			return false;
		if (job->h.type == REMOTE_FREE) {
			peer_frees++;
			continue;
		}
		if (job->h.type == REMOTE_JOB) {
			peer_must(peer_is_marked(fd, job), "a JOB without mark");
			return true;
		}
		peer_must(job->h.type == REMOTE_PING, "neither JOB nor PING");
		pong = malloc(sizeof(*pong));
		peer_make(pong, REMOTE_PONG, job->h.id, NULL, 0);
		/* Who left does not read it. */
		peer_send(fd, pong, peer_octets(pong), 0);
		free(pong);
	}
}

void peer_answer(const struct peer_frame *job, struct peer_frame *done)
{
	const struct remote_done d = {.status = VGPU_RSP_OK, .time_ns = 1};
	const struct remote_job *j = (const void *)job->body;
	uint64_t count = j->operand[0].count;
	const float *a = (const void *)(job->body + sizeof(*j));
	float *c = (void *)(done->body + sizeof(d));

	peer_must(j->op == VGPU_OP_BUILTIN && peer_data(job) == count * 8,
		  "a JOB of a wrong length");
	peer_make_done(done, job->h.id, &d, NULL, count * 4);
	for (uint64_t i = 0; i < count; i++)
		c[i] = a[i] + a[count + i];
}

static int unix_socket(const char *path, struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", path);
	peer_must(fd >= 0, "socket");
	return fd;
}

int peer_connect(const char *path)
{
	struct sockaddr_un sa;
	int fd = unix_socket(path, &sa);

	peer_must(!connect(fd, (struct sockaddr *)&sa, sizeof(sa)), "connect");
	return fd;
}

int peer_listen(const char *path)
{
	struct sockaddr_un sa;
	int fd = unix_socket(path, &sa);

	unlink(path);
	peer_must(!bind(fd, (struct sockaddr *)&sa, sizeof(sa)), "bind");
	peer_must(!listen(fd, 8), "listen");
	return fd;
}

int peer_accept(int fd)
{
	int conn;

	await(fd, POLLIN);
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	peer_must(conn >= 0, "accept");
	return conn;
}

static bool has_text(const char *file, const char *text)
{
	char line[2048];
	FILE *f = fopen(file, "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text);
	if (f)
		fclose(f);
	return found;
}

bool await_text(const char *file, const char *text)
{
	const struct timespec ms = {.tv_nsec = 2000000};

	for (int i = 0; i < PEER_MS / 2; i++) {
		if (has_text(file, text))
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

pid_t engined_start(const char *log, int *status, ...)
{
	const struct timespec ms = {.tv_nsec = 2000000};
	const char *build = getenv("B");
	char program[256];
	char *argv[16] = {"vgpu-engined", "--engine", "cpu"};
	int n = 3;
	va_list ap;
	pid_t pid;

	va_start(ap, status);
	do
		argv[n] = va_arg(ap, char *);
	while (argv[n++]);
	va_end(ap);
	snprintf(program, sizeof(program), "%s/bin/vgpu-engined",
		 build ? build : "build");
	unlink(log);
	pid = fork();
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, STDERR_FILENO);
		dup2(fd, STDOUT_FILENO);
		execv(program, argv);
		_exit(127);
	}
	for (int i = 0; i < PEER_MS / 2; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return 0;
		if (has_text(log, "event=ready"))
			return pid;
		nanosleep(&ms, NULL);
	}
	peer_must(false, "vgpu-engined does not get ready");
	return 0;
}

int engined_stop(pid_t pid, int sig)
{
	int status = -1;

	kill(pid, sig);
	waitpid(pid, &status, 0);
	return status;
}
