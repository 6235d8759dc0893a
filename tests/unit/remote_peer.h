/* SPDX-License-Identifier: MIT */
/*
 * remote_peer.h - the other end of a remote connection, as tests need it
 *
 * Frames made and read octet by octet, honest or not, without the code under
 * test; and vgpu-engined as a child. On any thread. Every wait is bounded: what
 * does not come within PEER_MS, or comes wrong, ends the program.
 */
#ifndef VGPU_TESTS_REMOTE_PEER_H
#define VGPU_TESTS_REMOTE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../cuda/remote.h"
#include "../../cuda/remote_proto.h"
#include "../../cuda/wire.h"

#define PEER_MS 60000

/* Ends the program unless good. On threads where cmocka's asserts must not be. */
void peer_must(bool good, const char *what);

struct peer_frame {
	struct remote_header h;
	_Alignas(8) unsigned char body[REMOTE_PAYLOAD_MAX];
};

/* Fills f; body may be NULL for zeros. */
void peer_make(struct peer_frame *f, unsigned int type, uint64_t id,
	       const void *body, size_t len);
/* A JOB with that data (NULL: zeros), not yet marked. */
void peer_make_job(struct peer_frame *f, uint64_t id, const struct remote_job *j,
		   const void *data, size_t len);
/* A vector add of count elements of a and b. */
void peer_make_add(struct peer_frame *f, uint64_t id, uint32_t stream,
		   const float *a, const float *b, uint32_t count);
/* A DONE with that data, not yet marked. */
void peer_make_done(struct peer_frame *f, uint64_t id, const struct remote_done *d,
		    const void *data, size_t len);
/* The nonce of the session on fd: peer_hello() and peer_welcome() set it. */
void peer_session(int fd, const uint8_t nonce[REMOTE_NONCE]);
/* JOB and DONE get its mark. */
void peer_mark(int fd, struct peer_frame *f);
bool peer_is_marked(int fd, const struct peer_frame *f);
/* Octets of data in a JOB or DONE. */
size_t peer_data(const struct peer_frame *f);
static inline size_t peer_octets(const struct peer_frame *f)
{
	return sizeof(f->h) + f->h.length;
}

/* All of it, in pieces of `piece` octets (0: at once). False: the end is gone. */
bool peer_send(int fd, const void *data, size_t len, size_t piece);
/* Marked. */
void peer_put(int fd, struct peer_frame *f);
/* The next frame. False: the end is gone. */
bool peer_get(int fd, struct peer_frame *f);
/* Reads frames until one of that type. */
void peer_expect(int fd, unsigned int type, struct peer_frame *f);
/* Nothing but the end of the stream comes, or frames before it. */
void peer_expect_end(int fd);

/* Client: HELLO of that version and nonce. */
void peer_hello(int fd, uint32_t version, uint8_t nonce);
/* Client: HELLO, then all until WELCOME. */
void peer_begin(int fd, uint8_t nonce);
/*
 * Server: reads HELLO, sends WELCOME as a cpu engine of that name. An engine of
 * another name runs modules.
 */
void peer_welcome(int fd, const char *name);
void peer_welcome_as(int fd, const char *engine, const char *name);
/* The same. False: the client does not wait any longer. */
bool peer_try_welcome(int fd, const char *engine, const char *name);
/*
 * Server: reads a JOB, past PINGs, which it answers, and FREEs; makes the DONE
 * that answers an add, added up.
 */
bool peer_next_job(int fd, struct peer_frame *job);
/* How many FREEs that has gone past. */
extern unsigned int peer_frees;
void peer_answer(const struct peer_frame *job, struct peer_frame *done);

int peer_connect(const char *path);
int peer_listen(const char *path);
int peer_accept(int fd);

/*
 * vgpu-engined with those arguments (NULL ends them) after "--engine cpu", its
 * log in a file; returns when it is ready. 0: it ended before, *status says how.
 */
pid_t engined_start(const char *log, int *status, ...);
/* Sends the signal and waits. Returns the status of waitpid(). */
int engined_stop(pid_t pid, int sig);
/* Is the text in the file, now or within PEER_MS? */
bool await_text(const char *file, const char *text);

#endif /* VGPU_TESTS_REMOTE_PEER_H */
