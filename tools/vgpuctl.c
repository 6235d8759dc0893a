/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl.c - attach, detach and list the vgpu devices of Xen guests
 *
 * Owns the command line, the help and the two handles (xenstore, libxl). Runs
 * in dom0 as root, once per command. Must never do a command's work itself.
 */
#include "vgpuctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

#define TIMEOUT_S 30

static const char usage[] =
	"usage: vgpuctl COMMAND [ARGUMENTS]\n"
	"Gives Xen guests a GPU device (class vgpu) served by vgpubackd.\n"
	"  attach DOMAIN [KEY=VALUE,...]   add a device\n"
	"  detach DOMAIN [DEVID|all]       remove a device\n"
	"  list [DOMAIN]                   the devices and their state\n"
	"  create CONFIG [XL-OPTIONS]      xl create, with the config's vgpu "
	"lines\n"
	"  help COMMAND                    more about one of them\n"
	"DOMAIN is a name or an id.\n"
	"      --help      this text\n"
	"      --version   version\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 attached, but no "
	"vgpubackd\n"
	"has answered yet.\n";

static const char help_attach[] =
	"usage: vgpuctl attach [--no-wait] [--timeout SECONDS] DOMAIN "
	"[KEY=VALUE,...]\n"
	"Adds a vgpu device to a running or paused domain.\n"
	"  gpu=N         index of the GPU in the backend domain (0)\n"
	"  mem=BYTES     quota of device memory; K, M, G, T; 0: no quota (0)\n"
	"  weight=N      share of the GPU's time, 1 to 65535 (256)\n"
	"  cap=PERCENT   upper bound, per cent of one GPU; 0: none (0)\n"
	"  devid=N       number of the device (the lowest free one)\n"
	"  backend=DOMAIN  the domain that vgpubackd runs in (this one)\n"
	"Waits until the backend offers the device; one that the backend "
	"refuses is\n"
	"removed again.\n"
	"      --no-wait            do not wait\n"
	"      --timeout SECONDS    wait at most so long (30)\n";

static const char help_detach[] =
	"usage: vgpuctl detach [--force] [--timeout SECONDS] DOMAIN "
	"[DEVID|all]\n"
	"Closes a device in order and removes it. DEVID can be left out where "
	"the\n"
	"domain has just one.\n"
	"      --force              remove it even if the backend does not "
	"close\n"
	"      --timeout SECONDS    wait at most so long (30)\n";

static const char help_list[] =
	"usage: vgpuctl list [DOMAIN]\n"
	"One line per device: domain, device, state of both ends, what the "
	"backend\n"
	"offers, policy, and the backend's last error.\n";

static const char help_create[] =
	"usage: vgpuctl create CONFIG [XL-OPTIONS]\n"
	"Creates a domain with xl, paused, attaches a device for each entry "
	"of\n"
	"  vgpu = [ \"gpu=0,mem=4G,weight=256,cap=0\" ]\n"
	"in CONFIG, and unpauses it. Keys as for attach. If anything fails the "
	"domain\n"
	"is destroyed again. XL-OPTIONS are those of xl create but -n, -F and "
	"-f; with\n"
	"-p the domain stays paused.\n";

void say(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vgpuctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool vgpuctl_libxl(struct vgpuctl *v)
{
	if (v->ctx)
		return true;
	v->logger = (xentoollog_logger *)xtl_createlogger_stdiostream(
		stderr, XTL_ERROR, 0);
	if (v->logger && !libxl_ctx_alloc(&v->ctx, LIBXL_VERSION, 0, v->logger))
		return true;
	say("cannot talk to the hypervisor; vgpuctl runs as root in dom0");
	return false;
}

static bool find_domain(struct vgpuctl *v, const char *text,
			unsigned int *domid)
{
	if (store_find_domain(v, text, domid))
		return true;
	say("there is no domain \"%s\"", text);
	return false;
}

static enum vgpuctl_exit cmd_attach(struct vgpuctl *v, int argc, char **argv)
{
	char err[VGPU_LINE_ERR];
	struct vgpu_line line;
	unsigned int guest;

	if (argc < 2 || argc > 3) {
		fputs(help_attach, stderr);
		return EXIT_USAGE;
	}
	if (!vgpu_line_parse(argc > 2 ? argv[2] : NULL, &line, err)) {
		say("attach: %s", err);
		return EXIT_USAGE;
	}
	if (!find_domain(v, argv[1], &guest))
		return EXIT_FAILED;
	return device_attach(v, guest, &line, "attach");
}

/* Which of the domain's n devices does text name? n where none. */
static size_t pick(const struct vgpu_dev *dev, size_t n, const char *text)
{
	uint64_t devid;
	size_t i;

	if (!vgpu_parse_uint(text, strlen(text), UINT16_MAX, &devid))
		return n;
	for (i = 0; i < n && dev[i].devid != devid; i++)
		;
	return i;
}

static enum vgpuctl_exit cmd_detach(struct vgpuctl *v, int argc, char **argv)
{
	struct vgpu_dev dev[VGPU_DEV_MAX];
	enum vgpuctl_exit rc = EXIT_OK;
	unsigned int guest;
	bool all;
	size_t n, i = 0;

	if (argc < 2 || argc > 3) {
		fputs(help_detach, stderr);
		return EXIT_USAGE;
	}
	if (!find_domain(v, argv[1], &guest))
		return EXIT_FAILED;
	n = store_devices(v, guest, dev, VGPU_DEV_MAX);
	all = argc == 3 && !strcmp(argv[2], "all");
	if (!n) {
		say("domain %u has no vgpu device", guest);
		return EXIT_FAILED;
	}
	if (argc == 2 && n > 1) {
		say("domain %u has %zu vgpu devices: say which one, or all",
		    guest, n);
		return EXIT_USAGE;
	}
	if (argc == 3 && !all) {
		i = pick(dev, n, argv[2]);
		if (i == n) {
			say("domain %u has no vgpu device \"%s\"", guest,
			    argv[2]);
			return EXIT_FAILED;
		}
	}
	if (!all)
		return device_detach(v, &dev[i]);
	for (i = 0; i < n; i++)
		if (device_detach(v, &dev[i]) != EXIT_OK)
			rc = EXIT_FAILED;
	return rc;
}

static const struct command {
	const char *name;
	enum vgpuctl_exit (*run)(struct vgpuctl *v, int argc, char **argv);
	const char *help;
	const char *options; /* which of the long options it takes */
} commands[] = {
	{"attach", cmd_attach, help_attach, "nt"},
	{"detach", cmd_detach, help_detach, "ft"},
	{"list", cmd_list, help_list, ""},
	{"create", cmd_create, help_create, NULL}, /* options are xl's */
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* EXIT_OK: go on, with *first at what is left of argv. */
static enum vgpuctl_exit options(struct vgpuctl *v, const struct command *cmd,
				 int argc, char **argv, int *first)
{
	static const struct option table[] = {
		{"no-wait", no_argument, NULL, 'n'},
		{"force", no_argument, NULL, 'f'},
		{"timeout", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	uint64_t seconds;
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (opt == '?' || !strchr(cmd->options, opt)) {
			say("%s: bad option %s", cmd->name, argv[optind - 1]);
			return EXIT_USAGE;
		}
		if (opt == 'n')
			v->wait = false;
		if (opt == 'f')
			v->force = true;
		if (opt != 't')
			continue;
		if (!vgpu_parse_uint(optarg, strlen(optarg), 86400, &seconds)) {
			say("--timeout %s: must be 0 to 86400 seconds", optarg);
			return EXIT_USAGE;
		}
		v->timeout_s = seconds;
	}
	*first = optind;
	return EXIT_OK;
}

static enum vgpuctl_exit run_command(const struct command *cmd, int argc,
				     char **argv)
{
	struct vgpuctl v = {.wait = true, .timeout_s = TIMEOUT_S};
	enum vgpuctl_exit rc;
	int first = 1;

	if (cmd->options) {
		rc = options(&v, cmd, argc, argv, &first);
		if (rc != EXIT_OK)
			return rc;
		argv[first - 1] = argv[0];
		argc -= first - 1;
		argv += first - 1;
	}
	v.xs = xs_open(0);
	if (!v.xs) {
		say("cannot reach xenstore (%s); vgpuctl runs as root in dom0",
		    strerror(errno));
		return EXIT_FAILED;
	}
	rc = cmd->run(&v, argc, argv);
	if (v.ctx)
		libxl_ctx_free(v.ctx);
	if (v.logger)
		xtl_logger_destroy(v.logger);
	xs_close(v.xs);
	return rc;
}

enum vgpuctl_exit vgpuctl_run(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *cmd;
	bool help;

	if (!strcmp(name, "--version")) {
		puts("vgpuctl " VGPU_VERSION);
		return EXIT_OK;
	}
	if (!strcmp(name, "--help") || (!strcmp(name, "help") && argc == 2)) {
		fputs(usage, stdout);
		return EXIT_OK;
	}
	help = !strcmp(name, "help");
	cmd = find_command(help ? argv[2] : name);
	if (!cmd) {
		if (argc > 1)
			say("unknown command \"%s\"", help ? argv[2] : name);
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (help || (argc > 2 && !strcmp(argv[2], "--help"))) {
		fputs(cmd->help, stdout);
		return EXIT_OK;
	}
	return run_command(cmd, argc - 1, argv + 1);
}
