// SPDX-License-Identifier: MIT
/*
 * module.c - modules and the functions in them
 *
 * Any thread. Loads and look-ups wait for their answers; they go on a stream of
 * the library's own, not to wait for the caller's work. What the answers say of
 * sizes is checked: launches rely on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MAX_IMAGE (64u << 20)
#define MAX_LOG (1u << 20)
/* Parameters that fit the page their layout comes in. */
#define MAX_PARAMS (PAGE / sizeof(struct param))

#define ELF_MAGIC 0x464c457fu
#define FATBIN_MAGIC 0xba55ed50u

/* What the image and the compiler's text are in while the module is loaded. */
struct pages {
	uint32_t handle;
	unsigned char *ptr;
	size_t size, log_at, log_size;
};

static bool is_text(const unsigned char *image, size_t size)
{
	size_t i;

	for (i = 0; i < size && i < 64; i++)
		if (image[i] > '~' ||
		    (image[i] < ' ' && (image[i] < '\t' || image[i] > '\r')))
			return false;
	return true;
}

/* 0: none that a GPU could run. PTX in a C string ends in a NUL: not PTX's. */
static uint32_t module_format(const unsigned char *image, size_t *size)
{
	uint32_t magic = 0;

	if (*size >= sizeof(magic))
		memcpy(&magic, image, sizeof(magic));
	if (magic == ELF_MAGIC)
		return VGPUFRONT_MODULE_CUBIN;
	if (magic == FATBIN_MAGIC)
		return VGPUFRONT_MODULE_FATBIN;
	while (*size && !image[*size - 1])
		--*size;
	return *size && is_text(image, *size) ? VGPUFRONT_MODULE_PTX : 0;
}

static int pages_get(struct vgpu_device *dev, struct pages *pages,
		     const void *image, size_t size, size_t log_size)
{
	void *ptr;
	int err;

	pages->log_at = (size + 7) / 8 * 8;
	pages->log_size = log_size < MAX_LOG ? log_size : MAX_LOG;
	pages->size = pages->log_at + pages->log_size;
	err = dev_alloc_pages(dev, pages->size, &pages->handle, &ptr);
	if (err)
		return err;
	pages->ptr = ptr;
	memcpy(ptr, image, size);
	return 0;
}

static void pages_put(struct vgpu_device *dev, struct pages *pages, char *log)
{
	size_t len;

	if (pages->log_size) {
		len = strnlen((char *)pages->ptr + pages->log_at,
			      pages->log_size - 1);
		memcpy(log, pages->ptr + pages->log_at, len);
		log[len] = '\0';
	}
	dev_free_handle(dev, pages->handle);
	sys_munmap(pages->ptr, pages_of(pages->size) * (size_t)PAGE);
}

/* With the lock: everything is there, it only has to be asked for. */
static int module_ask(struct vgpu_module *mod, const struct pages *pages,
		      uint32_t format, size_t size)
{
	struct vgpu_device *dev = mod->obj.dev;
	struct stream *st;
	struct vgpu_op op;
	int err;

	err = stream_service(dev, &st);
	if (!err)
		err = handle_get(dev, HANDLES_MODULE, &mod->obj.handle);
	if (err)
		return err;
	op_init(&op, dev, OP_SINGLE, VGPUFRONT_OP_MODULE_LOAD);
	op.sqe.module_load.module = mod->obj.handle;
	op.sqe.module_load.format = format;
	op.sqe.module_load.image.handle = pages->handle;
	op.sqe.module_load.image.count = (uint32_t)size;
	if (pages->log_size) {
		op.sqe.module_load.log.handle = pages->handle;
		op.sqe.module_load.log.count = (uint32_t)pages->log_size;
		op.sqe.module_load.log.offset = pages->log_at;
	}
	err = op_run(&op, st);
	if (err)
		handle_put(dev, HANDLES_MODULE, mod->obj.handle);
	else
		list_add_tail(&dev->objects, &mod->obj.node);
	return err;
}

static struct vgpu_module *module_new(struct vgpu_device *dev)
{
	struct vgpu_module *mod = calloc(1, sizeof(*mod));

	if (!mod)
		return NULL;
	object_init(&mod->obj, dev, OBJECT_MODULE);
	list_init(&mod->functions);
	pthread_mutex_init(&mod->get_lock, NULL);
	return mod;
}

void module_destroy(struct vgpu_module *mod)
{
	while (!list_empty(&mod->functions)) {
		struct vgpu_function *fn = (void *)mod->functions.next;

		list_del(&fn->node);
		free(fn->name);
		free(fn);
	}
	pthread_mutex_destroy(&mod->get_lock);
	free(mod);
}

VISIBLE int vgpu_module_load(struct vgpu_device *dev, const void *image,
			     size_t size, char *log, size_t log_size,
			     struct vgpu_module **out)
{
	struct vgpu_module *mod;
	struct pages pages;
	uint32_t format;
	int err;

	if (!log != !log_size)
		return -EINVAL;
	if (log)
		*log = '\0';
	if (!dev || !image || !size || !out)
		return -EINVAL;
	if (size > MAX_IMAGE)
		return -E2BIG;
	format = module_format(image, &size);
	if (!format)
		return -ENOEXEC;
	mod = module_new(dev);
	if (!mod)
		return -ENOMEM;
	err = pages_get(dev, &pages, image, size, log_size);
	if (!err) {
		dev_lock(dev);
		err = module_ask(mod, &pages, format, size);
		dev_unlock(dev);
		pages_put(dev, &pages, log);
	}
	if (err)
		module_destroy(mod);
	else
		*out = mod;
	return err;
}

VISIBLE int vgpu_module_unload(struct vgpu_module *mod)
{
	struct vgpu_device *dev;
	struct stream *st;
	int err;

	if (!mod)
		return 0;
	dev = mod->obj.dev;
	dev_lock(dev);
	err = stream_service(dev, &st);
	if (!err)
		err = object_end(&mod->obj, VGPUFRONT_OP_MODULE_UNLOAD, st);
	dev_unlock(dev);
	return err;
}

/* With the lock. Functions end with their module. */
void module_ended(struct vgpu_module *mod)
{
	struct vgpu_device *dev = mod->obj.dev;
	struct vgpu_function *fn;

	list_for_each(fn, &mod->functions)
		handle_put(dev, HANDLES_FUNCTION, fn->handle);
	handle_put(dev, HANDLES_MODULE, mod->obj.handle);
}

/* With the lock. value: as FUNCTION_GET's answer has it. */
static int function_ask(struct vgpu_module *mod, const char *name,
			uint32_t *handle, struct param *layout, uint64_t *value)
{
	struct vgpu_device *dev = mod->obj.dev;
	struct stream *st;
	struct vgpu_op op;
	int err;

	err = stream_service(dev, &st);
	if (!err)
		err = handle_get(dev, HANDLES_FUNCTION, handle);
	if (err)
		return err;
	op_init(&op, dev, OP_FUNCTION, VGPUFRONT_OP_FUNCTION_GET);
	op.sqe.function_get.module = mod->obj.handle;
	op.sqe.function_get.function = *handle;
	op.sqe.function_get.name = (uintptr_t)name;
	op.sqe.function_get.name_len = (uint32_t)strlen(name);
	op.operand[0].ptr = (unsigned char *)layout;
	op.operand[0].output = true;
	op.nr_operands = 1;
	op.n = op.chunk_elems = PAGE;
	op.direct = false;
	op.copy = true;
	err = op_run(&op, st);
	if (err)
		handle_put(dev, HANDLES_FUNCTION, *handle);
	*value = op.value;
	return err;
}

static int function_check(const struct param *layout, uint64_t value)
{
	uint32_t len = (uint32_t)value, nr = (uint32_t)(value >> 32), i;

	if (len > VGPUFRONT_MAX_ARGS)
		return -EPROTO;
	if (nr > MAX_PARAMS)
		return -EOPNOTSUPP;
	for (i = 0; i < nr; i++)
		if (layout[i].offset > len ||
		    layout[i].size > len - layout[i].offset)
			return -EPROTO;
	return 0;
}

static struct vgpu_function *function_new(struct vgpu_module *mod,
					  const char *name,
					  const struct param *layout,
					  uint64_t value)
{
	uint16_t nr = (uint16_t)(value >> 32);
	struct vgpu_function *fn;

	fn = calloc(1, sizeof(*fn) + nr * sizeof(*layout));
	if (!fn)
		return NULL;
	fn->name = strdup(name);
	if (!fn->name) {
		free(fn);
		return NULL;
	}
	list_init(&fn->node);
	fn->mod = mod;
	fn->args_len = (uint16_t)value;
	fn->nr_params = nr;
	memcpy(fn->params, layout, nr * sizeof(*layout));
	return fn;
}

static struct vgpu_function *function_find(const struct vgpu_module *mod,
					   const char *name)
{
	struct vgpu_function *fn;

	list_for_each(fn, &mod->functions)
		if (!strcmp(fn->name, name))
			return fn;
	return NULL;
}

/*
 * With get_lock. A number that the backend knows but the program does not is
 * not given out again.
 */
static int function_make(struct vgpu_module *mod, const char *name,
			 struct vgpu_function **out)
{
	struct vgpu_device *dev = mod->obj.dev;
	struct param layout[MAX_PARAMS];
	struct vgpu_function *fn;
	uint32_t handle;
	uint64_t value;
	int err;

	dev_lock(dev);
	err = function_ask(mod, name, &handle, layout, &value);
	dev_unlock(dev);
	if (!err)
		err = function_check(layout, value);
	if (err)
		return err;
	fn = function_new(mod, name, layout, value);
	if (!fn)
		return -ENOMEM;
	fn->handle = handle;
	dev_lock(dev);
	list_add_tail(&mod->functions, &fn->node);
	dev_unlock(dev);
	*out = fn;
	return 0;
}

static bool is_name(const char *name)
{
	size_t len;

	for (len = 0; name[len] && len <= VGPUFRONT_MAX_KERNEL_NAME; len++)
		if (name[len] < ' ' || name[len] > '~')
			return false;
	return len && len <= VGPUFRONT_MAX_KERNEL_NAME;
}

VISIBLE int vgpu_function_get(struct vgpu_module *mod, const char *name,
			      struct vgpu_function **out)
{
	int err = 0;

	if (!mod || !name || !out || !is_name(name))
		return -EINVAL;
	pthread_mutex_lock(&mod->get_lock);
	*out = function_find(mod, name);
	if (!*out)
		err = function_make(mod, name, out);
	pthread_mutex_unlock(&mod->get_lock);
	return err;
}

VISIBLE unsigned int vgpu_function_params(const struct vgpu_function *fn)
{
	return fn->nr_params;
}

VISIBLE int vgpu_function_param(const struct vgpu_function *fn, unsigned int i,
				size_t *offset, size_t *size)
{
	if (!fn || i >= fn->nr_params || !offset || !size)
		return -EINVAL;
	*offset = fn->params[i].offset;
	*size = fn->params[i].size;
	return 0;
}
