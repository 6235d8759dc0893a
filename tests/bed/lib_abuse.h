/* SPDX-License-Identifier: MIT */
/*
 * lib_abuse.h - what the parts of lib_abuse share: TAP, and the ioctls of
 * /dev/vgpufront with -errno results
 */
#ifndef LIB_ABUSE_H
#define LIB_ABUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uapi/vgpufront.h>

#define DEVICE "/dev/vgpufront"
#define PAGE 4096u
#define KERNEL_VECTOR_ADD 1
#define KERNEL_SGEMM 3
#define MEM(n) (VGPUFRONT_HANDLE_MEM | (n))
#define KERNEL_ADDRESS 0xffff888000000000ull

/* A line of TAP; gives ok back. From one thread at a time. */
bool ok(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The call must have returned exactly this. */
void is(int got, int want, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Nothing can be tested: ends the program. */
void bail(const char *what) __attribute__((noreturn));

/* struct vgpu_sgemm of <xen/io/vgpuif.h> */
struct sgemm {
	uint32_t shape[6]; /* m, n, k and leading dimensions */
	float alpha, beta;
	uint32_t trans[2];
};

/*
 * Work that lasts: LONG_WORK requests of one stream on one buffer, of which they
 * use the first LONG_OCTETS. The ring holds all of them, so that submit() waits
 * for none. A machine that is busy with other things can keep this program from
 * running until they are done; who needs work in flight looks again, with that
 * of the next level, which takes some eight times as long.
 */
#define LONG_WORK 24
#define LONG_LEVELS 4
#define LONG_OCTETS (3u << 20)

struct buffer {
	uint32_t handle;
	uint64_t offset; /* for mmap */
	size_t size;
	void *ptr;
};

int call(int fd, unsigned long request, const void *arg);
int open_device(void);
struct buffer buffer_new(int fd, size_t size);
int buffer_free(int fd, uint32_t handle);
int buffer_register(int fd, const void *addr, uint64_t size, uint32_t flags,
		    uint32_t *handle);
void buffer_end(int fd, struct buffer *buf);
struct vgpufront_info device_info(int fd);

struct vgpufront_sqe nop(uint64_t user_data);
struct vgpufront_sqe add(uint64_t user_data, uint32_t a, uint32_t b, uint32_t c,
			 uint32_t count);
/* One of the requests above. */
struct vgpufront_sqe long_work(uint64_t user_data, uint32_t handle,
			       unsigned int level);
/* A request of that op with nothing else set. */
struct vgpufront_sqe request(uint64_t user_data, uint8_t op);
/* One ENTER; enter.submitted and .completed are 0 on an error. */
int enter(int fd, struct vgpufront_enter *enter);
int submit(int fd, const struct vgpufront_sqe *sqes, uint32_t nr);
/* Submits one request, waits for it; its result. -EPROTO: no one answer. */
int one(int fd, const struct vgpufront_sqe *sqe, struct vgpufront_cqe *cqe);
/* Reaps until nothing is in flight; how many there were. */
unsigned int drain(int fd);
/* A page that must not be touched, right behind a page that may be. */
unsigned char *guarded_page(void);

void test_arguments(void);
void test_buffers(void);
void test_work(void);
void test_payload(void);
void test_quiet(void);

/* Quiet requests and a FENCE, again and again; 0: no error. */
int quiet_for_a_while(void);

/* Buffers of the device, once what was let go of is reclaimed. */
uint32_t settled_buffers(int fd, uint32_t want);

#endif /* LIB_ABUSE_H */
