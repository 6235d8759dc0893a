// SPDX-License-Identifier: MIT
/*
 * test_lib_memory.c - libvgpufront over a double of the module: memory of the
 * device, copies by every way, fills, built-in kernels
 */
#include <pthread.h>
#include <sys/mman.h>

#include "lib_common.h"

#define PAGE 4096u

static struct vgpu_mem *mem_of(size_t size)
{
	struct vgpu_mem *mem;

	assert_int_equal(vgpu_mem_alloc(dev, size, 0, &mem), 0);
	assert_int_equal(vgpu_mem_size(mem), size);
	return mem;
}

/* For other streams than the one it is allocated on. */
static struct vgpu_mem *mem_for_all(size_t size)
{
	struct vgpu_mem *mem = mem_of(size);
	uint64_t at;

	assert_int_equal(vgpu_mem_address(mem, &at), 0);
	return mem;
}

static unsigned char *bytes(size_t n, unsigned int seed)
{
	unsigned char *p = malloc(n + 16);
	size_t i;

	assert_non_null(p);
	for (i = 0; i < n + 16; i++)
		p[i] = (unsigned char)((i * 2654435761u + seed) >> 7);
	return p;
}

static void test_alloc(void **state)
{
	struct vgpu_mem *mem, *other;
	unsigned char out[64];
	struct fake_counts before;
	uint64_t a, b;

	(void)state;
	assert_int_equal(vgpu_mem_alloc(dev, 0, 0, &mem), -EINVAL);
	assert_int_equal(vgpu_mem_alloc(dev, 8, 65536, &mem), -EINVAL);
	assert_int_equal(vgpu_mem_alloc(NULL, 8, 0, &mem), -EINVAL);
	/* The answer is not waited for, but sent for at once. */
	fake_hold(0);
	mem = mem_of(1000);
	other = mem_of(64);
	assert_int_equal(fake_counts().requests, 2);
	fake_release(0);
	memset(out, 1, sizeof(out));
	assert_int_equal(vgpu_copy_out(dev, out, vgpu_at(other, 0), 64, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(out[0] | out[63], 0);
	assert_int_equal(vgpu_mem_address(mem, &a), 0);
	before = fake_counts();
	assert_int_equal(vgpu_mem_address(mem, &b), 0);
	assert_int_equal(fake_counts().ioctls, before.ioctls);
	assert_true(a == b && a % 256 == 0);
	assert_int_equal(vgpu_mem_free(mem, 0), 0);
	assert_int_equal(vgpu_mem_free(other, 3), 0);
	assert_int_equal(vgpu_mem_free(NULL, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(vgpu_fence(dev, 3), 0);
	assert_int_equal(fake_counts().objects, 0);
}

static void test_find(void **state)
{
	struct vgpu_mem *mem[100];
	uint64_t at[100];
	size_t offset;
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		mem[i] = mem_of(100 + i);
	assert_null(vgpu_mem_find(dev, 4096, &offset));
	for (i = 0; i < 100; i++)
		assert_int_equal(vgpu_mem_address(mem[i], &at[i]), 0);
	for (i = 0; i < 100; i++) {
		assert_ptr_equal(vgpu_mem_find(dev, at[i], &offset), mem[i]);
		assert_int_equal(offset, 0);
		assert_ptr_equal(vgpu_mem_find(dev, at[i] + 99 + i, &offset),
				 mem[i]);
		assert_int_equal(offset, 99 + i);
	}
	for (i = 0; i < 100; i += 2)
		assert_int_equal(vgpu_mem_free(mem[i], 0), 0);
	for (i = 0; i < 100; i++)
		assert_ptr_equal(vgpu_mem_find(dev, at[i] + 50, &offset),
				 i % 2 ? mem[i] : NULL);
	assert_null(vgpu_mem_find(dev, 0, &offset));
	assert_null(vgpu_mem_find(dev, UINT64_MAX, &offset));
	/* Gone at once, though the backend has not been told. */
	vgpu_batch_begin(dev);
	assert_int_equal(vgpu_mem_free(mem[1], 0), 0);
	assert_null(vgpu_mem_find(dev, at[1], &offset));
	assert_int_equal(vgpu_batch_end(dev), 0);
}

#define NEIGHBOURS 32
#define ROUNDS 40

struct neighbours {
	struct vgpu_mem *mem[NEIGHBOURS];
	bool gone;
};

static void *replace_all(void *arg)
{
	struct neighbours *n = arg;
	unsigned int i, k;
	uint64_t at;
	int err = 0;

	for (i = 0; !err && i < ROUNDS; i++) {
		for (k = 0; !err && k < NEIGHBOURS; k++)
			err = vgpu_mem_free(n->mem[k], 1);
		for (k = 0; !err && k < NEIGHBOURS; k++) {
			err = vgpu_mem_alloc(dev, 64, 1, &n->mem[k]);
			if (!err)
				err = vgpu_mem_address(n->mem[k], &at);
		}
	}
	__atomic_store_n(&n->gone, true, __ATOMIC_RELAXED);
	return err ? NULL : arg;
}

/* Memory whose neighbours another thread frees meanwhile. */
static void test_find_beside_free(void **state)
{
	struct neighbours n = {.gone = false};
	struct vgpu_mem *mem = NULL;
	uint64_t at = 0, next;
	pthread_t thread;
	unsigned int i;
	size_t offset;
	void *ret;

	(void)state;
	for (i = 0; i < NEIGHBOURS; i++) {
		if (i == NEIGHBOURS / 2) {
			mem = mem_of(64);
			assert_int_equal(vgpu_mem_address(mem, &at), 0);
		}
		n.mem[i] = mem_of(64);
		assert_int_equal(vgpu_mem_address(n.mem[i], &next), 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, replace_all, &n), 0);
	while (!__atomic_load_n(&n.gone, __ATOMIC_RELAXED)) {
		assert_ptr_equal(vgpu_mem_find(dev, at + 3, &offset), mem);
		assert_int_equal(offset, 3);
	}
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_non_null(ret);
}

/* Numbers of what is freed are used again, and none while it is in use. */
static void test_handles(void **state)
{
	struct vgpu_mem *mem[40] = {NULL};
	unsigned int i, seed = 3;

	(void)state;
	/* The double aborts where a number in use is picked. */
	for (i = 0; i < 3000; i++) {
		unsigned int k = (unsigned int)rand_r(&seed) % 40;
		unsigned int stream = (unsigned int)rand_r(&seed) % 3;

		if (mem[k]) {
			assert_int_equal(vgpu_fence(dev, k % 3), 0);
			assert_int_equal(vgpu_mem_free(mem[k], stream), 0);
			mem[k] = NULL;
		} else {
			assert_int_equal(
				vgpu_mem_alloc(dev, 64, k % 3, &mem[k]), 0);
		}
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(vgpu_fence(dev, i), 0);
	assert_in_range(fake_counts().objects, 1, 40);
}

static void test_no_memory(void **state)
{
	struct vgpu_mem *mem, *small;
	uint64_t at;

	(void)state;
	fake_config.mem_quota = 1000;
	mem = mem_of(2000);
	small = mem_of(500);
	assert_int_equal(vgpu_mem_address(mem, &at), -EDQUOT);
	assert_int_equal(vgpu_mem_address(mem, &at), -EDQUOT);
	assert_int_equal(vgpu_mem_address(small, &at), 0);
	assert_int_equal(vgpu_fence(dev, 0), -EDQUOT);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	/* What names it fails; giving it back does not. */
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0, 1, 8, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), -ENOENT);
	assert_int_equal(vgpu_mem_free(mem, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(vgpu_mem_free(small, 0), 0);
}

/* In, across and out again: by copying, by pinning, unaligned. */
static void test_copy_sizes(void **state)
{
	static const size_t sizes[] = {1,	 3,	4096,	65535,
				       65537,	 70001, 300000, (12u << 20) + 5,
				       40u << 20};
	size_t i, shift;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];
		struct vgpu_mem *mem = mem_for_all(n + 9);
		struct vgpu_mem *other = mem_for_all(n);
		unsigned char *in = bytes(n, (unsigned int)i);
		unsigned char *out = calloc(1, n + 16);

		shift = i % 4;
		assert_int_equal(
			vgpu_copy_in(dev, vgpu_at(mem, 9), in + shift, n, 1),
			0);
		assert_int_equal(vgpu_copy(dev, vgpu_at(other, 0),
					   vgpu_at(mem, 9), n, 1),
				 0);
		assert_int_equal(vgpu_copy_out(dev, out + 3 - shift,
					       vgpu_at(other, 0), n, 1),
				 0);
		assert_int_equal(vgpu_fence(dev, 1), 0);
		assert_memory_equal(in + shift, out + 3 - shift, n);
		assert_int_equal(out[3 - shift + n], 0);
		assert_int_equal(vgpu_mem_free(mem, 1), 0);
		assert_int_equal(vgpu_mem_free(other, 1), 0);
		free(in);
		free(out);
	}
	assert_int_equal(fake_counts().pinned, 0);
	assert_int_equal(vgpu_fence(dev, 1), 0);
}

static void test_copy_scarce(void **state)
{
	size_t n = 3u << 20;
	struct vgpu_mem *mem = mem_of(n);
	unsigned char *in = bytes(n, 1), *out = calloc(1, n);
	unsigned int pages;

	(void)state;
	for (pages = 600; pages >= 3; pages /= 3) {
		fake_config.max_pages = pages;
		memset(out, 0, n);
		assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), in, n, 0),
				 0);
		assert_int_equal(vgpu_copy_out(dev, out, vgpu_at(mem, 0), n, 0),
				 0);
		assert_int_equal(vgpu_fence(dev, 0), 0);
		assert_memory_equal(in, out, n);
	}
	free(in);
	free(out);
}

/* One quiet request, and the memory is used in place. */
static void test_copy_buffers(void **state)
{
	struct vgpu_mem *mem = mem_for_all(PAGE);
	struct vgpu_buffer *buf, *ro;
	struct fake_counts before;
	static unsigned char data[PAGE];
	unsigned char *p;

	(void)state;
	assert_int_equal(vgpu_buffer_alloc(dev, PAGE, &buf), 0);
	p = vgpu_buffer_ptr(buf);
	memset(p, 7, 100);
	before = fake_counts();
	assert_int_equal(
		vgpu_copy(dev, vgpu_at(mem, 3), vgpu_in(buf, 1), 50, 2), 0);
	assert_int_equal(
		vgpu_copy(dev, vgpu_in(buf, 2000), vgpu_at(mem, 0), 60, 2), 0);
	/* The same by pointers into it. */
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 200), p, 99, 2), 0);
	assert_int_equal(vgpu_copy_out(dev, p + 3001, vgpu_at(mem, 200), 99, 2),
			 0);
	assert_int_equal(fake_counts().enters - before.enters, 4);
	assert_int_equal(fake_counts().quiet - before.quiet, 4);
	assert_int_equal(fake_counts().ioctls - before.ioctls, 4);
	assert_int_equal(vgpu_fence(dev, 2), 0);
	assert_int_equal(p[2002], 0);
	assert_int_equal(p[2003], 7);
	assert_int_equal(p[2052], 7);
	assert_int_equal(p[2053], 0);
	assert_int_equal(p[3099], 7);
	assert_int_equal(vgpu_buffer_register(dev, data, PAGE,
					      VGPU_BUFFER_READ_ONLY, &ro),
			 0);
	assert_int_equal(vgpu_copy(dev, vgpu_in(ro, 0), vgpu_at(mem, 0), 8, 0),
			 -EACCES);
	assert_int_equal(vgpu_copy_out(dev, data, vgpu_at(mem, 0), 8, 0),
			 -EACCES);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), data, 8, 0), 0);
	/* In use by a request that nobody waits for. */
	fake_hold(2);
	assert_int_equal(vgpu_copy(dev, vgpu_in(buf, 0), vgpu_at(mem, 0), 8, 2),
			 0);
	assert_int_equal(vgpu_buffer_free(buf), -EBUSY);
	fake_release(2);
	assert_int_equal(vgpu_fence(dev, 2), 0);
	assert_int_equal(vgpu_buffer_free(buf), 0);
	/* A request not sent yet names it: it is sent first. */
	vgpu_batch_begin(dev);
	assert_int_equal(vgpu_copy(dev, vgpu_at(mem, 0), vgpu_in(ro, 0), 8, 0),
			 0);
	while (vgpu_buffer_unregister(ro) == -EBUSY)
		fake_await_idle();
	assert_int_equal(vgpu_batch_end(dev), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
}

/* Of a copy that the backend has done, but whose answer nobody has taken. */
static void test_buffer_freed_early(void **state)
{
	unsigned char *data = bytes(1000, 3), out[1000];
	struct vgpu_buffer *buf;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(vgpu_buffer_alloc(dev, 1000, &buf), 0);
		fake_hold(0);
		assert_int_equal(
			i ? vgpu_copy_out(dev, out, vgpu_in(buf, 0), 1000, 0) :
			    vgpu_copy_in(dev, vgpu_in(buf, 0), data, 1000, 0),
			0);
		assert_int_equal(vgpu_buffer_free(buf), -EBUSY);
		fake_release(0);
		fake_await_idle();
		assert_int_equal(vgpu_buffer_free(buf), 0);
		assert_int_equal(vgpu_fence(dev, 0), 0);
	}
	free(data);
}

/* Half in a buffer that the stream writes to: read when that is done. */
static void test_copy_half_in_buffer(void **state)
{
	static unsigned char data[3 * PAGE] __attribute__((aligned(PAGE)));
	struct vgpu_mem *mem = mem_of(sizeof(data));
	unsigned char out[PAGE];
	struct vgpu_buffer *buf;

	(void)state;
	assert_int_equal(vgpu_buffer_register(dev, data + PAGE, PAGE, 0, &buf),
			 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 5, 1, 2 * PAGE, 0), 0);
	fake_hold(0);
	assert_int_equal(
		vgpu_copy(dev, vgpu_in(buf, 0), vgpu_at(mem, 0), PAGE, 0), 0);
	assert_int_equal(
		vgpu_copy_in(dev, vgpu_at(mem, 8192), data + 100, PAGE, 0), 0);
	fake_release(0);
	assert_int_equal(vgpu_copy_out(dev, out, vgpu_at(mem, 8192), PAGE, 0),
			 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(out[PAGE - 101], 0);
	assert_int_equal(out[PAGE - 100], 5);
	assert_int_equal(vgpu_buffer_unregister(buf), 0);
}

/* What is brought home by the library is there for what comes behind. */
static void test_copy_chain(void **state)
{
	static const size_t sizes[] = {100, 60000, 200000};
	struct vgpu_mem *mem = mem_for_all(200000);
	unsigned char *p = calloc(1, 200000);
	unsigned int i, k;

	(void)state;
	for (k = 0; k < 3; k++) {
		memset(p, 1, sizes[k]);
		for (i = 0; i < 10; i++) {
			assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), p,
						      sizes[k], 4),
					 0);
			assert_int_equal(
				vgpu_fill(dev, vgpu_at(mem, 0), i, 1, 1, 4), 0);
			assert_int_equal(vgpu_copy(dev, vgpu_at(mem, i + 1),
						   vgpu_at(mem, 0), 1, 4),
					 0);
			assert_int_equal(vgpu_copy_out(dev, p, vgpu_at(mem, 0),
						       sizes[k], 4),
					 0);
		}
		assert_int_equal(vgpu_fence(dev, 4), 0);
		for (i = 0; i < 10; i++)
			assert_int_equal(p[i + 1], i);
	}
	free(p);
}

static void test_copy_errors(void **state)
{
	struct vgpu_mem *mem = mem_of(100);
	struct vgpu_ref none = {0};
	unsigned char data[200];
	void *hole;

	(void)state;
	assert_int_equal(vgpu_copy(dev, none, vgpu_at(mem, 0), 1, 0), -EINVAL);
	assert_int_equal(
		vgpu_copy(dev, vgpu_at(mem, 0), vgpu_at(mem, 50), 51, 0),
		-ERANGE);
	assert_int_equal(vgpu_copy(dev, vgpu_at(mem, 0),
				   vgpu_at(mem, UINT64_MAX - 3), 8, 0),
			 -ERANGE);
	assert_int_equal(vgpu_copy(dev, vgpu_at(mem, 8), vgpu_at(mem, 0),
				   UINT64_MAX - 3, 0),
			 -ERANGE);
	assert_int_equal(vgpu_copy(dev, vgpu_at(mem, 0), vgpu_at(mem, 50), 8,
				   VGPU_MAX_STREAM + 1),
			 -EINVAL);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 1), data, 100, 0),
			 -ERANGE);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), NULL, 8, 0),
			 -EFAULT);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 100), NULL, 0, 0), 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0, 3, 9, 0), -EINVAL);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0, 4, 9, 0), -EINVAL);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 2), 0, 4, 8, 0), -EINVAL);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 96), 0, 4, 8, 0), -ERANGE);
	/* What is not there is said by the fence. */
	hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mem, 0), hole, 100, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), -EFAULT);
	assert_int_equal(vgpu_copy_out(dev, hole, vgpu_at(mem, 0), 100, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), -EFAULT);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	munmap(hole, PAGE);
}

static void test_fill(void **state)
{
	struct vgpu_mem *mem = mem_of(64);
	uint32_t out[16];

	(void)state;
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 0), 0x12345678, 4, 16, 0),
			 0);
	/* More than the width's bits are no error. */
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 16), 0x12345678, 2, 16, 0),
			 0);
	assert_int_equal(vgpu_fill(dev, vgpu_at(mem, 33), 0x12345678, 1, 2, 0),
			 0);
	assert_int_equal(vgpu_copy_out(dev, out, vgpu_at(mem, 0), 64, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(out[3], 0x12345678);
	assert_int_equal(out[4], 0x56785678);
	assert_int_equal(out[8], 0x00787800);
	assert_int_equal(out[9], 0);
}

static void test_builtins(void **state)
{
	enum { N = 1000 };
	struct vgpu_mem *x = mem_of(N * 4), *y = mem_of(N * 4);
	float *a = vec(N, 1), *b = vec(N, 2), *out = vec(N, 3), sum = 0;
	struct vgpu_buffer *buf;
	double want = 0;
	float *p;
	int i;

	(void)state;
	assert_int_equal(vgpu_buffer_alloc(dev, N * 4 + 8, &buf), 0);
	p = vgpu_buffer_ptr(buf);
	memcpy(p + 1, b, N * 4);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(x, 0), a, N * 4, 0), 0);
	assert_int_equal(vgpu_add(dev, vgpu_at(x, 0), vgpu_in(buf, 4),
				  vgpu_at(y, 0), N, 0),
			 0);
	assert_int_equal(vgpu_copy_out(dev, out, vgpu_at(y, 0), N * 4, 0), 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_int_equal(wrong(a, b, out, N), 0);
	assert_int_equal(
		vgpu_saxpy(dev, 0.5f, vgpu_at(x, 0), vgpu_in(buf, 4), N, 0), 0);
	assert_int_equal(vgpu_reduce_sum(dev, vgpu_at(x, 0),
					 vgpu_in(buf, N * 4 + 4), N, 0),
			 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	for (i = 0; i < N; i++) {
		assert_true(p[i + 1] == 0.5f * a[i] + b[i]);
		want += a[i];
	}
	sum = p[N + 1];
	assert_true(sum == (float)want);
	assert_int_equal(vgpu_reduce_sum(dev, vgpu_at(x, 0),
					 vgpu_in(buf, N * 4 + 4), 0, 0),
			 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_true(p[N + 1] == 0);
	assert_int_equal(vgpu_add(dev, vgpu_at(x, 2), vgpu_at(x, 0),
				  vgpu_at(y, 0), 1, 0),
			 -EINVAL);
	assert_int_equal(vgpu_add(dev, vgpu_at(x, 4), vgpu_at(x, 0),
				  vgpu_at(y, 0), N, 0),
			 -ERANGE);
	assert_int_equal(vgpu_add(dev, vgpu_at(x, 4), vgpu_at(x, 0),
				  vgpu_at(y, 0), SIZE_MAX / 4 + 2, 0),
			 -EINVAL);
	free(a);
	free(b);
	free(out);
}

static void test_sgemm(void **state)
{
	/* A is 2 x 3, stored transposed with ld 4; B 3 x 2; C 2 x 2, ld 3. */
	static const float a[] = {1, 2, 3, 0, 4, 5, 6},
			   b[] = {1, 0, 2, 0, 1, 3};
	float c[] = {1, 1, 9, 1, 1};
	struct vgpu_mem *ma = mem_of(sizeof(a)), *mb = mem_of(sizeof(b)),
			*mc = mem_of(sizeof(c));
	struct vgpu_matrix A = {vgpu_at(ma, 0), 4, true},
			   B = {vgpu_at(mb, 0), 3, false},
			   C = {vgpu_at(mc, 0), 3, false};

	(void)state;
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(ma, 0), a, sizeof(a), 0), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mb, 0), b, sizeof(b), 0), 0);
	assert_int_equal(vgpu_copy_in(dev, vgpu_at(mc, 0), c, sizeof(c), 0), 0);
	assert_int_equal(vgpu_sgemm(dev, 2, 2, 3, 2, A, B, 10, C, 0), 0);
	assert_int_equal(vgpu_copy_out(dev, c, vgpu_at(mc, 0), sizeof(c), 0),
			 0);
	assert_int_equal(vgpu_fence(dev, 0), 0);
	assert_true(c[0] == 24 && c[1] == 42 && c[2] == 9 && c[3] == 32 &&
		    c[4] == 56);
	A.ld = 2;
	assert_int_equal(vgpu_sgemm(dev, 2, 2, 3, 2, A, B, 0, C, 0), -EINVAL);
	A.ld = 40;
	assert_int_equal(vgpu_sgemm(dev, 2, 2, 3, 2, A, B, 0, C, 0), -ERANGE);
	A.ld = 4;
	C.transposed = true;
	assert_int_equal(vgpu_sgemm(dev, 2, 2, 3, 2, A, B, 0, C, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIB_TEST(test_alloc),
		LIB_TEST(test_find),
		LIB_TEST(test_find_beside_free),
		LIB_TEST(test_handles),
		LIB_TEST(test_no_memory),
		LIB_TEST(test_copy_sizes),
		LIB_TEST(test_copy_scarce),
		LIB_TEST(test_copy_buffers),
		LIB_TEST(test_buffer_freed_early),
		LIB_TEST(test_copy_half_in_buffer),
		LIB_TEST(test_copy_chain),
		LIB_TEST(test_copy_errors),
		LIB_TEST(test_fill),
		LIB_TEST(test_builtins),
		LIB_TEST(test_sgemm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
