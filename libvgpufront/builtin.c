// SPDX-License-Identifier: MIT
/*
 * builtin.c - built-in kernels: on memory of the device and buffers, and the
 * vector add of ordinary memory
 *
 * Any thread. Checks what the caller gave.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define NR_MATRICES 3
enum { OPERAND_A, OPERAND_B, OPERAND_C };

struct place {
	struct vgpu_ref ref;
	uint64_t count; /* elements */
	bool output;
};

/* Parameters of sgemm: struct vgpu_sgemm of the wire protocol. */
struct sgemm {
	uint32_t m, n, k;
	uint32_t ld[NR_MATRICES];
	uint32_t alpha, beta;
	uint32_t transposed[2];
};

static uint32_t float_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* param: a parameter of len bytes, in the request itself where that is 4. */
static int builtin(struct vgpu_device *dev, uint16_t kernel,
		   const struct place *places, unsigned int nr,
		   const void *param, size_t len, unsigned int stream)
{
	struct request rq = {.event = NULL};
	struct object *obj[NR_OPERANDS];
	size_t blob = len > sizeof(uint32_t) ? len : 0;
	unsigned int i;
	int err;

	if (!dev)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (places[i].count > UINT32_MAX || places[i].ref.offset % 4)
			return -EINVAL;
		err = ref_check(dev, &places[i].ref, 4 * places[i].count,
				places[i].output, &obj[i]);
		if (err)
			return err;
	}
	err = request_begin(&rq, dev, stream, VGPUFRONT_OP_BUILTIN, blob, nr);
	if (err)
		return err;
	rq.sqe->builtin.kernel = kernel;
	if (blob) {
		memcpy(rq.blob, param, len);
		rq.sqe->builtin.params = (uintptr_t)rq.blob;
		rq.sqe->builtin.param_len = (uint16_t)len;
	} else if (len) {
		memcpy(&rq.sqe->builtin.param, param, len);
	}
	for (i = 0; i < nr; i++) {
		rq.sqe->builtin.operand[i] = (struct vgpufront_operand){
			.handle = obj[i]->handle,
			.count = (uint32_t)places[i].count,
			.offset = places[i].ref.offset,
		};
		request_name(&rq, obj[i]);
	}
	return request_end(&rq);
}

VISIBLE int vgpu_add(struct vgpu_device *dev, struct vgpu_ref a,
		     struct vgpu_ref b, struct vgpu_ref c, size_t n,
		     unsigned int stream)
{
	const struct place places[] = {
		{a, n, false}, {b, n, false}, {c, n, true}};

	return builtin(dev, wire_kernel_vector_add, places, 3, NULL, 0, stream);
}

VISIBLE int vgpu_saxpy(struct vgpu_device *dev, float alpha, struct vgpu_ref x,
		       struct vgpu_ref y, size_t n, unsigned int stream)
{
	const struct place places[] = {{x, n, false}, {y, n, true}};
	uint32_t bits = float_bits(alpha);

	return builtin(dev, wire_kernel_saxpy, places, 2, &bits, sizeof(bits),
		       stream);
}

VISIBLE int vgpu_reduce_sum(struct vgpu_device *dev, struct vgpu_ref in,
			    struct vgpu_ref out, size_t n, unsigned int stream)
{
	const struct place places[] = {{in, n, false}, {out, 1, true}};

	return builtin(dev, wire_kernel_reduce_sum, places, 2, NULL, 0, stream);
}

/* Elements that a matrix of that shape, as it is stored, spans. */
static int matrix_place(const struct vgpu_matrix *m, uint32_t rows,
			uint32_t columns, struct place *place)
{
	uint32_t swap = rows;

	if (m->transposed) {
		rows = columns;
		columns = swap;
	}
	if (rows > INT32_MAX || columns > INT32_MAX || m->ld > INT32_MAX ||
	    !m->ld || m->ld < rows)
		return -EINVAL;
	place->ref = m->ref;
	place->count =
		rows && columns ? (uint64_t)m->ld * (columns - 1) + rows : 0;
	return 0;
}

VISIBLE int vgpu_sgemm(struct vgpu_device *dev, uint32_t m, uint32_t n,
		       uint32_t k, float alpha, struct vgpu_matrix a,
		       struct vgpu_matrix b, float beta, struct vgpu_matrix c,
		       unsigned int stream)
{
	struct place places[NR_MATRICES] = {[OPERAND_C] = {.output = true}};
	const struct sgemm param = {
		.m = m,
		.n = n,
		.k = k,
		.ld = {a.ld, b.ld, c.ld},
		.alpha = float_bits(alpha),
		.beta = float_bits(beta),
		.transposed = {a.transposed, b.transposed},
	};
	int err;

	if (c.transposed)
		return -EINVAL;
	err = matrix_place(&a, m, k, &places[OPERAND_A]);
	if (!err)
		err = matrix_place(&b, k, n, &places[OPERAND_B]);
	if (!err)
		err = matrix_place(&c, m, n, &places[OPERAND_C]);
	return err ? err :
		     builtin(dev, wire_kernel_sgemm, places, NR_MATRICES,
			     &param, sizeof(param), stream);
}

static bool overlap(const unsigned char *x, const unsigned char *y, size_t size)
{
	uintptr_t px = (uintptr_t)x, py = (uintptr_t)y;

	return px > py ? px - py < size : py - px < size;
}

static int add_init(struct vgpu_op *op, struct vgpu_device *dev, const float *a,
		    const float *b, float *c, size_t n)
{
	unsigned char *ptr[NR_OPERANDS] = {(void *)(uintptr_t)a,
					   (void *)(uintptr_t)b, (void *)c};
	size_t size = n * sizeof(float);
	unsigned int i;

	if (n > PTRDIFF_MAX / sizeof(float))
		return -EINVAL;
	op_init(op, dev, OP_ADD, VGPUFRONT_OP_BUILTIN);
	op->sqe.builtin.kernel = wire_kernel_vector_add;
	op->n = n;
	op->unit = sizeof(float);
	op->nr_operands = NR_OPERANDS;
	op->operand[OPERAND_C].output = true;
	for (i = 0; n && i < NR_OPERANDS; i++) {
		if (!ptr[i] || (uintptr_t)ptr[i] + size < (uintptr_t)ptr[i])
			return -EFAULT;
		if (ptr[i] != ptr[OPERAND_C] &&
		    overlap(ptr[i], ptr[OPERAND_C], size))
			return -EINVAL;
		op->operand[i].ptr = ptr[i];
	}
	return 0;
}

/* Decides how the operands get to the backend. With the lock. */
static int add_place(struct vgpu_op *op)
{
	size_t size = op->n * sizeof(float);
	struct vgpu_device *dev = op->dev;
	struct operand *o;

	op->copy = size <= COPY_MAX;
	for (o = op->operand; o < op->operand + NR_OPERANDS && op->n; o++) {
		o->buf = buffer_find(dev, o->ptr, size, sizeof(float),
				     o->output);
		if (!o->buf) {
			op->direct = false;
			op->copy |= (uintptr_t)o->ptr % 4 != 0;
			op->after_all |= buffer_touched(dev, o->ptr, size);
		} else if (o->output &&
			   (o->buf->flags & VGPU_BUFFER_READ_ONLY)) {
			return -EACCES;
		}
	}
	op->chunk_elems = op->direct ? CHUNK_DIRECT :
			  op->copy   ? COPY_MAX / sizeof(float) :
				       CHUNK_BYTES / NR_OPERANDS / sizeof(float);
	return 0;
}

/* Checks, and puts it where the stream's work of that kind goes. */
static int add_ready(struct vgpu_op *op, unsigned int stream,
		     struct stream **st)
{
	unsigned int i;
	int err;

	err = dev_lost(op->dev);
	if (!err)
		err = stream_use(op->dev, stream, st);
	if (!err)
		err = add_place(op);
	if (!err && op->after_all)
		err = stream_checkpoint(op->dev, *st);
	for (i = 0; !err && i < NR_OPERANDS; i++)
		if (op->operand[i].buf)
			op->operand[i].buf->obj.refs++;
	return err;
}

VISIBLE int vgpu_vector_add(struct vgpu_device *dev, const float *a,
			    const float *b, float *c, size_t n)
{
	struct stream *st;
	struct vgpu_op op;
	int err;

	if (!dev)
		return -EINVAL;
	err = add_init(&op, dev, a, b, c, n);
	if (err)
		return err;
	dev_lock(dev);
	err = add_ready(&op, 0, &st);
	if (!err)
		err = op_run(&op, st);
	dev_unlock(dev);
	return err;
}

VISIBLE int vgpu_vector_add_async(struct vgpu_device *dev, const float *a,
				  const float *b, float *c, size_t n,
				  unsigned int stream, struct vgpu_op **out)
{
	struct vgpu_op *op;
	struct stream *st;
	int err;

	if (!dev || !out)
		return -EINVAL;
	op = malloc(sizeof(*op));
	if (!op)
		return -ENOMEM;
	err = add_init(op, dev, a, b, c, n);
	if (!err) {
		op->async = true;
		dev_lock(dev);
		err = add_ready(op, stream, &st);
		if (!err)
			err = op_start(op, st);
		dev_unlock(dev);
	}
	if (err)
		free(op);
	else
		*out = op;
	return err;
}
