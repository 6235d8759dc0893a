/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl.h - the parts of vgpuctl
 *
 * vgpuctl runs in the toolstack's domain, once per command, as root. It writes
 * the toolstack's nodes of vgpu.schema and no others; it never talks to a GPU
 * or to vgpubackd except through xenstore.
 *
 *   vgpuctl.c         command line
 *   vgpuctl_line.c    a device line, "gpu=0,mem=4G,weight=256,cap=0"
 *   vgpuctl_store.c   directories and nodes of devices
 *   vgpuctl_device.c  attach, detach: the two changes and waiting for the ends
 *   vgpuctl_list.c    list
 *   vgpuctl_create.c  create: xl, then attach, then unpause
 */
#ifndef VGPUCTL_H
#define VGPUCTL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libxl.h>
#include <xenstore.h>

#define VGPU_PATH_LEN 128
#define VGPU_DEV_MAX 64 /* devices of one domain */
#define VGPU_LINE_ERR 256

/* Exit status of the program. */
enum vgpuctl_exit {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNSERVED = 3, /* attached, but no vgpubackd has answered yet */
};

/* What a device line says. */
struct vgpu_line {
	uint16_t gpu;
	uint64_t mem; /* octets, 0: no quota */
	uint16_t weight;
	uint16_t cap;	  /* per cent of one GPU, 0: none */
	int devid;	  /* -1: the lowest free one */
	char backend[64]; /* domain name or id, "": this domain */
};

/*
 * Reads text; NULL is an empty line, which is all defaults. On failure false,
 * with a text for a person in err that names key and value.
 */
bool vgpu_line_parse(const char *text, struct vgpu_line *line,
		     char err[VGPU_LINE_ERR]);

/* One device: the domains and numbers that its two paths are made of. */
struct vgpu_dev {
	unsigned int back;
	unsigned int guest;
	unsigned int devid;
};

/* What all commands work with. ctx is NULL until vgpuctl_libxl(). */
struct vgpuctl {
	struct xs_handle *xs;
	libxl_ctx *ctx;
	xentoollog_logger *logger;
	unsigned int timeout_s;
	bool wait;
	bool force;
};

/* Set by a signal during create: stop waiting, undo, end. */
extern volatile sig_atomic_t vgpuctl_interrupted;

/* Messages: "vgpuctl: ..." and a line end, on standard error. */
void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...);

/* Opens libxl where that has not happened yet. Says why when it cannot. */
bool vgpuctl_libxl(struct vgpuctl *v);

/* ---- vgpuctl_store.c ---- */

/* The domain vgpuctl runs in: the default backend. */
unsigned int store_own_domid(struct vgpuctl *v);

/*
 * A domain by id or name, as xenstore knows it. An id need not exist (its
 * nodes may have been left behind). False where a name is unknown.
 */
bool store_find_domain(struct vgpuctl *v, const char *text,
		       unsigned int *domid);

/* The domain's name, "" where it has none. */
void store_domain_name(struct vgpuctl *v, unsigned int domid, char *buf,
		       size_t len);

void store_back_path(const struct vgpu_dev *d, char path[VGPU_PATH_LEN]);
void store_front_path(const struct vgpu_dev *d, char path[VGPU_PATH_LEN]);

/* A node of one of the directories: malloced value or NULL. */
char *store_read(struct vgpuctl *v, xs_transaction_t t, const char *dir,
		 const char *node);

/* xenbus state in dir/state; 0 where it is missing or no number. */
unsigned int store_state(struct vgpuctl *v, xs_transaction_t t,
			 const char *dir);

/*
 * The devices of domain guest (all domains where ANY_DOMAIN), at most max, by
 * their backend directories in all backend domains. Returns how many.
 */
#define ANY_DOMAIN (~0u)
size_t store_devices(struct vgpuctl *v, unsigned int guest,
		     struct vgpu_dev *dev, size_t max);

/*
 * Makes both directories in one transaction, Initialising, picking d->devid
 * where line->devid is -1. Says why when it cannot.
 */
bool store_add(struct vgpuctl *v, struct vgpu_dev *d,
	       const struct vgpu_line *line);

/* Asks the backend to close for good: online = 0, state = Closing. */
bool store_close(struct vgpuctl *v, const struct vgpu_dev *d);

/* Removes both directories, and the parents that are empty then. */
bool store_remove(struct vgpuctl *v, const struct vgpu_dev *d);

/* ---- vgpuctl_device.c ---- */

/*
 * Attach one device to a domain that exists and is not dying. Unless !v->wait,
 * returns when the backend offers it (EXIT_OK), refused it (device removed,
 * EXIT_FAILED), or did neither in time (EXIT_UNSERVED). where names the line
 * in messages ("guest.cfg: vgpu[0]").
 */
enum vgpuctl_exit device_attach(struct vgpuctl *v, unsigned int guest,
				const struct vgpu_line *line,
				const char *where);

/* Detach one device; see vgpuctl(8) for what --force does. */
enum vgpuctl_exit device_detach(struct vgpuctl *v, const struct vgpu_dev *d);

/* ---- commands; argv[0] is the command's name ---- */
enum vgpuctl_exit cmd_list(struct vgpuctl *v, int argc, char **argv);
enum vgpuctl_exit cmd_create(struct vgpuctl *v, int argc, char **argv);

/* All of main(), for the unit test too. */
enum vgpuctl_exit vgpuctl_run(int argc, char **argv);

#endif
