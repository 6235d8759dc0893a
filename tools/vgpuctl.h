/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl.h - the parts of vgpuctl
 *
 * vgpuctl runs in the toolstack's domain, once per command, as root. It writes
 * the toolstack's nodes of vgpu.schema and the state file, and nothing else; it
 * never talks to a GPU or to vgpubackd except through these.
 *
 *   vgpuctl.c           command line
 *   vgpuctl_commands.c  attach, detach, set
 *   vgpuctl_device.c    one device's two changes, and waiting for its ends
 *   vgpuctl_remember.c  what of that goes into the state file; forget
 *   vgpuctl_list.c      list
 *   vgpuctl_config.c    the vgpu lines of an xl config
 *   vgpuctl_create.c    create: xl, then attach, then unpause
 *
 * What a device line is, what nodes a device has and what the state file looks
 * like: device_line.h, device_nodes.h, registry.h.
 */
#ifndef VGPUCTL_H
#define VGPUCTL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libxl.h>
#include <xenstore.h>

#include "device_nodes.h"
#include "registry.h"

/* Exit status of the program. */
enum vgpuctl_exit {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNSERVED = 3,     /* attached, but no vgpubackd has answered yet */
	EXIT_UNREMEMBERED = 4, /* done, but the state file does not say so */
};

/* What all commands work with. ctx is NULL until vgpuctl_libxl(). */
struct vgpuctl {
	struct xs_handle *xs;
	libxl_ctx *ctx;
	xentoollog_logger *logger;
	const char *state_file;
	unsigned int timeout_s;
	bool wait;
	bool force;
	bool remembered;
};

/* Set by a signal during create: stop waiting, undo, end. */
extern volatile sig_atomic_t vgpuctl_interrupted;

/* Messages: "vgpuctl: ..." and a line end, on standard error. */
void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...);

/* Opens libxl where that has not happened yet. Says why when it cannot. */
bool vgpuctl_libxl(struct vgpuctl *v);

/* domain_find(); says so where there is none. */
bool vgpuctl_find_domain(struct vgpuctl *v, const char *text,
			 unsigned int *domid);

/* ---- vgpuctl_device.c ---- */

/*
 * The line's backend as it is remembered: by name, "" for our own domain. where
 * names the line in messages ("guest.cfg:12: vgpu[0]").
 */
bool device_backend(struct vgpuctl *v, struct device_line *line,
		    const char *where);

/*
 * Attach one device to a domain that exists and is not dying; line->devid is
 * the device's number then. Unless !v->wait, returns when the backend offers it
 * (EXIT_OK), refused it (device removed, EXIT_FAILED), or did neither in time
 * (EXIT_UNSERVED). A device that is there just as the line says is one that was
 * attached: vgpubackd may have been there first.
 */
enum vgpuctl_exit device_attach(struct vgpuctl *v, unsigned int guest,
				struct device_line *line, const char *where);

/* Detach one device; see vgpuctl(1) for what --force does. */
enum vgpuctl_exit device_detach(struct vgpuctl *v, const struct vgpu_dev *d);

/* ---- vgpuctl_remember.c; each says why where it returns false ---- */

/* A device that was attached. */
bool remember_device(struct vgpuctl *v, unsigned int guest,
		     const struct device_line *line);
/* The numbers of its remembered devices, as bits; some may not be attached. */
uint64_t remember_kept(struct vgpuctl *v, unsigned int guest);
/* New mem, weight and cap of one that may be remembered. */
bool remember_change(struct vgpuctl *v, unsigned int guest,
		     const struct device_line *line);
/* n devices of a domain that were detached. */
bool remember_not(struct vgpuctl *v, unsigned int guest,
		  const struct vgpu_dev *dev, size_t n);

/*
 * A domain that is about to be made: these are its devices, in place of what
 * was remembered of it; uuid may be "". What was is in *before, for undo, and
 * freed by registry_free().
 */
bool remember_domain(struct vgpuctl *v, const char *name, const char *uuid,
		     const struct device_line *line, size_t n,
		     struct registry *before);
bool remember_undo(struct vgpuctl *v, const char *name,
		   const struct registry *before);
/* The domain is there: the entries of its name are its own. */
bool remember_running(struct vgpuctl *v, unsigned int guest);

/* ---- vgpuctl_config.c ---- */

/* An xl config, with the command line's KEY=VALUE as further lines. */
struct config {
	const char *file;
	char *name;
	char uuid[DOMAIN_UUID_LEN]; /* "": the config has none */
	struct device_line line[VGPU_DEV_MAX];
	char *where[VGPU_DEV_MAX]; /* "guest.cfg:12: vgpu[0]" */
	size_t lines;
};

/*
 * Reads c->file and checks all of its vgpu lines; each has a devid then. Says
 * why where it cannot. config_free() in any case.
 */
bool config_read(struct config *c, int argc, char **argv);
void config_free(struct config *c);

/* ---- commands; argv[0] is the command's name ---- */
enum vgpuctl_exit cmd_attach(struct vgpuctl *v, int argc, char **argv);
enum vgpuctl_exit cmd_detach(struct vgpuctl *v, int argc, char **argv);
enum vgpuctl_exit cmd_set(struct vgpuctl *v, int argc, char **argv);
enum vgpuctl_exit cmd_list(struct vgpuctl *v, int argc, char **argv);
enum vgpuctl_exit cmd_forget(struct vgpuctl *v, int argc, char **argv);
enum vgpuctl_exit cmd_create(struct vgpuctl *v, int argc, char **argv);

/* All of main(), for the unit test too. */
enum vgpuctl_exit vgpuctl_run(int argc, char **argv);

#endif
