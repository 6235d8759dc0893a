/* SPDX-License-Identifier: MIT */
/*
 * engine.h - what runs the work: the interface between the worker's session
 * and an engine (cpu, cuda, remote)
 *
 * An engine knows nothing of Xen: it gets host addresses and answers jobs. The
 * session has checked every address, range and count before, and what the
 * protocol says of a request by itself; an engine relies on that and refuses
 * only what cannot be a job: job_check.h.
 *
 * Threads: all calls on one engine come from one thread (the worker's loop).
 * An engine may have threads of its own; they never call back. Completion is
 * by vgpu_engine_reap(), on the caller's thread: a caller either calls it again
 * and again, which costs no system call, or arms the engine and sleeps on its
 * descriptor.
 *
 * Errors are enum vgpu_status of <xen/io/vgpuif.h>; an engine takes them from the
 * wire protocol, with the numbers of operations and built-in kernels, what these
 * mean, and the blocks that say more of them (struct vgpu_sgemm, vgpu_param).
 *
 * Objects (device memory, modules, functions, events) are the caller's
 * structures, zeroed before the job that makes what they stand for; the engine
 * keeps its own in them. Jobs behind that one, on its stream, may name them at
 * once. Jobs on other streams that start before it is done, and all that name
 * what could not be made, end in VGPU_RSP_NO_HANDLE. The structure stays where
 * it is until its last job is reaped and the engine has taken back what it holds
 * (vgpu_engine_mem_free(), vgpu_engine_module_unload()).
 *
 * The guest's own kernels can write to all memory that the GPU reaches in this
 * process: another process of the same guest has no secrets from them, another
 * guest has its own engine in its own process.
 */
#ifndef VGPU_ENGINE_H
#define VGPU_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VGPU_ENGINE_TEXT	96
#define VGPU_ENGINE_WHY		256
#define VGPU_ENGINE_OPERANDS	3
/* What the name of an engine elsewhere starts with; its address follows. */
#define VGPU_ENGINE_REMOTE	"remote:"

struct vgpu_engine;
struct vgpu_engine_stream;
struct vgpu_engine_region;
struct vgpu_job;
/* <xen/io/vgpuif.h> */
struct vgpu_sgemm;

/* What does not change; "" or 0 where the engine has no such thing. */
struct vgpu_engine_facts {
	char engine[VGPU_ENGINE_TEXT];		/* "cuda", "cpu" */
	char gpu_name[VGPU_ENGINE_TEXT];	/* for cpu: the processor's name */
	char gpu_uuid[VGPU_ENGINE_TEXT];
	char compute_capability[VGPU_ENGINE_TEXT];
	char driver_version[VGPU_ENGINE_TEXT];
	char builtins[2 * VGPU_ENGINE_TEXT];	/* names, separated by spaces */
	/* Own code (modules, functions, launches) can be run. */
	bool modules;
	uint64_t memory;			/* bytes */
	/* What the engine measured when it was opened, for people. */
	char tuning[2 * VGPU_ENGINE_TEXT];
};

/* What changes; 0 where unknown. Units as in struct vgpu_info. */
struct vgpu_engine_info {
	uint64_t mem_total;
	uint64_t mem_free;
	uint32_t temperature_mc;
	uint32_t power_mw;
	uint32_t utilization;
};

/*
 * The way a job's data took.
 *
 * X(NAME, "name in logs and statistics")
 *
 * NONE		nothing moved: a fence, no elements, a job that was refused
 * HOST		processors worked on the operands where they lie
 * ZERO_COPY	the GPU read and wrote the operands where they lie
 * PIPELINED	copy engines between the operands and the GPU's memory, chunk by
 *		chunk, beside the kernel
 * STAGED_ZERO_COPY, STAGED_PIPELINED	the same from and to pinned memory of
 *		the engine, which the CPU filled and emptied
 * REMOTE	over a byte stream to an engine elsewhere
 */
#define VGPU_PATH_LIST(X)			\
	X(NONE,             "none")		\
	X(HOST,             "host")		\
	X(ZERO_COPY,        "zero-copy")	\
	X(PIPELINED,        "pipelined")	\
	X(STAGED_ZERO_COPY, "staged-zero-copy")	\
	X(STAGED_PIPELINED, "staged-pipelined")	\
	X(REMOTE,           "remote")

enum vgpu_path {
#define VGPU_PATH_ENUM(name, str) VGPU_PATH_##name,
	VGPU_PATH_LIST(VGPU_PATH_ENUM)
#undef VGPU_PATH_ENUM
	VGPU_NR_PATHS
};

/* "zero-copy" ...; "" for what is no enum vgpu_path. */
static inline const char *vgpu_path_name(unsigned int path)
{
	static const char *const names[] = {
#define VGPU_PATH_NAME(name, str) [VGPU_PATH_##name] = str,
		VGPU_PATH_LIST(VGPU_PATH_NAME)
#undef VGPU_PATH_NAME
	};

	return path < VGPU_NR_PATHS ? names[path] : "";
}

/*
 * Device memory. @bytes: the caller's, before MEM_ALLOC. @address: the engine's:
 * where the device finds it, a multiple of 256; 0 until it is there. @priv: the
 * engine's.
 */
struct vgpu_engine_mem {
	uint64_t bytes;
	uint64_t address;
	void *priv;
};

/* The engine's; priv is NULL until it is loaded. */
struct vgpu_engine_module {
	void *priv;
};

/*
 * The engine's; priv is NULL until it is found. It goes with its module.
 * @args_len: octets of its argument blob
 */
struct vgpu_engine_function {
	void *priv;
	uint32_t args_len;
};

/*
 * A mark in a stream, the engine's (events.h). @newest: the EVENT_RECORD that was
 * submitted last, until it is done; NULL then, and before the first.
 */
struct vgpu_engine_event {
	struct vgpu_job *newest;
};

/*
 * What a job works on: host memory, or device memory (mem is not NULL).
 *
 * @host:	first octet. What the job only reads may be mapped read-only.
 *		Memory that another party writes meanwhile gives undefined
 *		results, never undefined behaviour.
 * @count:	elements of 4 bytes for built-in kernels; else bytes
 * @region:	the one that all of the host memory lies in, or NULL
 * @mem, @offset: device memory, and bytes from its start; all of the operand
 *		lies in it
 */
struct vgpu_engine_operand {
	void *host;
	uint64_t count;
	struct vgpu_engine_region *region;
	struct vgpu_engine_mem *mem;
	uint64_t offset;
};

/* An address to be put into an argument blob. @at: bytes, where. */
struct vgpu_engine_reloc {
	struct vgpu_engine_operand target;	/* count is 0 */
	uint16_t at;
};

/*
 * A kernel's run. @args: args_len bytes, the job's own copy, 8-byte aligned; the
 * engine puts the relocations' addresses into it.
 */
struct vgpu_engine_launch {
	struct vgpu_engine_function *function;
	uint32_t grid[3];
	uint32_t block[3];
	uint32_t shared;
	uint32_t args_len;
	uint32_t nr_relocs;
	void *args;
	const struct vgpu_engine_reloc *reloc;
};

/*
 * A job. The caller owns it and must leave it and all that it points to alone
 * from vgpu_engine_submit() until vgpu_engine_reap() has returned it.
 *
 * @stream:	jobs of one stream take effect in order
 * @op:		enum vgpu_op, one of these, with what it takes:
 *	FENCE		nothing: it is done when all earlier jobs of the stream
 *			are
 *	BUILTIN		kernel, param, sgemm (for SGEMM), operand[]: host memory
 *			is 4-byte aligned
 *	MEM_ALLOC	mem; value: mem->address
 *	COPY		operand[0] (to) and [1] (from), of the same count
 *	FILL		operand[0], pattern and width
 *	MODULE_LOAD	module, format, operand[0] (image) and [1] (log, or
 *			count 0), both host memory of any alignment. The image is
 *			copied once, before anything looks at it.
 *	FUNCTION_GET	module, function, name (with a NUL), operand[0] (struct
 *			vgpu_param each, in host memory, or count 0); value as in
 *			the response
 *	LAUNCH		launch
 *	EVENT_RECORD, EVENT_WAIT: event; value: the time, for the former
 * @status:	out: enum vgpu_status
 * @path:	out: enum vgpu_path
 * @time_ns:	out: nanoseconds the engine was busy with this job, from the
 *		start of the first part until it saw the end of the last
 * @value:	out: as above, else 0
 * @awaits, @waiters, @priv: the engine's
 * @next:	the engine's, while it has the job; then the list of reaped jobs
 * @owner:	the caller's
 */
struct vgpu_job {
	struct vgpu_engine_stream *stream;
	uint8_t op;
	uint16_t kernel;
	uint32_t param;
	uint32_t format;
	uint32_t pattern;
	uint32_t width;
	struct vgpu_engine_operand operand[VGPU_ENGINE_OPERANDS];
	const struct vgpu_sgemm *sgemm;
	struct vgpu_engine_mem *mem;
	struct vgpu_engine_module *module;
	struct vgpu_engine_function *function;
	const char *name;
	struct vgpu_engine_event *event;
	struct vgpu_engine_launch launch;
	uint16_t status;
	uint8_t path;
	uint64_t time_ns;
	uint64_t value;
	struct vgpu_job *awaits;
	struct vgpu_job *waiters;
	void *priv;
	struct vgpu_job *next;
	void *owner;
};

/*
 * Configuration of an engine.
 *
 * @gpu:	index as NVML counts (cuda only)
 * @threads:	worker threads (cpu only); 0: one per processor
 * @max_job_ns:	how long one job may run on the device (cuda only); 0: for ever.
 *		One that takes longer ends in VGPU_RSP_TIMEOUT, and the engine is
 *		lost.
 * @address:	where the engine is (remote only): "unix:PATH",
 *		"tcp:HOST:PORT", or the path of a character device; see remote.h.
 *		Must stay until the engine is closed.
 */
struct vgpu_engine_config {
	unsigned int gpu;
	unsigned int threads;
	uint64_t max_job_ns;
	const char *address;
};

struct vgpu_engine_ops {
	const char *name;
	/*
	 * Passes the engine's sanity gate, then returns it; blocks (for cuda up
	 * to seconds). On failure NULL, with one line in why: what failed and,
	 * where known, what to do.
	 */
	struct vgpu_engine *(*open)(const struct vgpu_engine_config *cfg,
				    char why[VGPU_ENGINE_WHY]);
	/* All jobs have been reaped, all streams destroyed. Blocks shortly. */
	void (*close)(struct vgpu_engine *eng);
	void (*facts)(struct vgpu_engine *eng, struct vgpu_engine_facts *out);
	void (*info)(struct vgpu_engine *eng, struct vgpu_engine_info *out);
	/* NULL: out of memory. Does not block. */
	struct vgpu_engine_stream *(*stream_create)(struct vgpu_engine *eng);
	/* No job of it is with the engine. */
	void (*stream_destroy)(struct vgpu_engine *eng,
			       struct vgpu_engine_stream *stream);
	/*
	 * Two-way DMA pattern test on pages that somebody else owns (grant
	 * mappings), before any of that kind becomes a region. base is page
	 * aligned and writable, bytes whole pages, best not adjacent in memory;
	 * they are zero when this returns. True: region_add() may be tried.
	 * False, with a line in why: the device does not see what the CPU wrote
	 * there, or the other way round, or has no use for regions; region_add()
	 * returns NULL from now on. Blocks, milliseconds.
	 */
	bool (*region_test)(struct vgpu_engine *eng, void *base, size_t bytes,
			    char why[VGPU_ENGINE_WHY]);
	/*
	 * Makes host memory that operands will lie in known to the engine, once
	 * for its life, so that jobs reach it in place. base is page aligned,
	 * bytes whole pages; read_only: mapped so. NULL: not possible; its
	 * operands have no region and are staged. Blocks, 0.1 ms a MiB. An
	 * engine whose region_test() never passes has neither this nor
	 * region_remove().
	 */
	struct vgpu_engine_region *(*region_add)(struct vgpu_engine *eng,
						 void *base, size_t bytes,
						 bool read_only);
	/*
	 * No job with an operand in it is with the engine; once this returns
	 * the memory may be unmapped.
	 */
	void (*region_remove)(struct vgpu_engine *eng,
			      struct vgpu_engine_region *region);
	/*
	 * Takes back what the object stands for, where there is anything; no
	 * job that names it, or a function of the module, is with the engine.
	 * Does not block for work of other streams.
	 */
	void (*mem_free)(struct vgpu_engine *eng, struct vgpu_engine_mem *mem);
	/* NULL where facts say that there are no modules. */
	void (*module_unload)(struct vgpu_engine *eng,
			      struct vgpu_engine_module *module);
	/*
	 * Takes the job, always: a failure is in the status of the job when
	 * reaped. Does not block for the work itself.
	 */
	void (*submit)(struct vgpu_engine *eng, struct vgpu_job *job);
	/*
	 * Returns the finished jobs, linked by next, oldest first, or NULL.
	 * Does not block, and makes no system call unless the engine is armed.
	 */
	struct vgpu_job *(*reap)(struct vgpu_engine *eng);
	/*
	 * Before sleeping on the descriptor. False: a job has finished already,
	 * reap it. True: the descriptor polls readable as soon as a job
	 * finishes, until the next reap, which clears and disarms it.
	 */
	bool (*arm)(struct vgpu_engine *eng);
	/* Stays the same for the engine's life. */
	int (*fd)(struct vgpu_engine *eng);
};

/* Every engine starts with this, so that the inlines below find its ops. */
struct vgpu_engine {
	const struct vgpu_engine_ops *ops;
};

extern const struct vgpu_engine_ops vgpu_engine_cpu;
extern const struct vgpu_engine_ops vgpu_engine_cuda;
extern const struct vgpu_engine_ops vgpu_engine_remote;

/* "cpu", "cuda", "remote", or NULL where there is no engine of that name. */
const struct vgpu_engine_ops *vgpu_engine_by_name(const char *name);

/*
 * Opens the engine of that name; "auto" is cuda, and where its gate fails cpu,
 * with cuda's reason left in why. "remote:ADDRESS" is remote at that address,
 * whatever cfg says. On failure NULL and why.
 */
struct vgpu_engine *vgpu_engine_open(const char *name,
				     const struct vgpu_engine_config *cfg,
				     char why[VGPU_ENGINE_WHY]);

static inline void vgpu_engine_close(struct vgpu_engine *eng)
{
	eng->ops->close(eng);
}

static inline void vgpu_engine_facts(struct vgpu_engine *eng,
				     struct vgpu_engine_facts *out)
{
	eng->ops->facts(eng, out);
}

static inline void vgpu_engine_info(struct vgpu_engine *eng,
				    struct vgpu_engine_info *out)
{
	eng->ops->info(eng, out);
}

static inline struct vgpu_engine_stream *
vgpu_engine_stream_create(struct vgpu_engine *eng)
{
	return eng->ops->stream_create(eng);
}

static inline void vgpu_engine_stream_destroy(struct vgpu_engine *eng,
					      struct vgpu_engine_stream *stream)
{
	eng->ops->stream_destroy(eng, stream);
}

static inline void vgpu_engine_mem_free(struct vgpu_engine *eng,
					struct vgpu_engine_mem *mem)
{
	eng->ops->mem_free(eng, mem);
}

static inline void
vgpu_engine_module_unload(struct vgpu_engine *eng,
			  struct vgpu_engine_module *module)
{
	if (eng->ops->module_unload)
		eng->ops->module_unload(eng, module);
}

static inline void vgpu_engine_submit(struct vgpu_engine *eng,
				      struct vgpu_job *job)
{
	eng->ops->submit(eng, job);
}

static inline struct vgpu_job *vgpu_engine_reap(struct vgpu_engine *eng)
{
	return eng->ops->reap(eng);
}

static inline bool vgpu_engine_region_test(struct vgpu_engine *eng, void *base,
					   size_t bytes,
					   char why[VGPU_ENGINE_WHY])
{
	return eng->ops->region_test(eng, base, bytes, why);
}

static inline struct vgpu_engine_region *
vgpu_engine_region_add(struct vgpu_engine *eng, void *base, size_t bytes,
		       bool read_only)
{
	if (!eng->ops->region_add)
		return NULL;
	return eng->ops->region_add(eng, base, bytes, read_only);
}

static inline void
vgpu_engine_region_remove(struct vgpu_engine *eng,
			  struct vgpu_engine_region *region)
{
	eng->ops->region_remove(eng, region);
}

static inline bool vgpu_engine_arm(struct vgpu_engine *eng)
{
	return eng->ops->arm(eng);
}

static inline int vgpu_engine_fd(struct vgpu_engine *eng)
{
	return eng->ops->fd(eng);
}

#endif /* VGPU_ENGINE_H */
