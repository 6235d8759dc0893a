/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl.c - give Xen guests vgpu devices: the program's frame
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
	"usage: vgpuctl [--state-file FILE] COMMAND [ARGUMENTS]\n"
	"Gives Xen guests a GPU device (class vgpu) served by vgpubackd.\n"
	"  create CONFIG [XL-OPTIONS]      xl create, with the config's vgpu "
	"lines\n"
	"  attach DOMAIN [KEY=VALUE,...]   add a device\n"
	"  detach DOMAIN [DEVID|all]       remove a device\n"
	"  set DOMAIN [DEVID] KEY=VALUE,...  change weight, cap, mem of one\n"
	"  list [DOMAIN]                   the devices and their state\n"
	"  list --remembered [NAME|UUID]   what will be attached again\n"
	"  forget NAME|UUID                a domain's devices are remembered "
	"no more\n"
	"  help COMMAND                    more about one of them\n"
	"DOMAIN is a name or an id. The devices of a domain are remembered: "
	"vgpubackd\n"
	"attaches them again whenever a domain of that UUID or name starts.\n"
	"      --state-file FILE  where (" REGISTRY_PATH ")\n"
	"      --help             this text\n"
	"      --version          version\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 attached, but no "
	"vgpubackd\n"
	"has answered yet, 4 done, but the state file does not say so.\n";

static const char help_attach[] =
	"usage: vgpuctl attach [--no-wait] [--timeout SECONDS] DOMAIN "
	"[KEY=VALUE,...]\n"
	"Adds a vgpu device to a running or paused domain.\n"
	"  gpu=N         index of the GPU in the backend domain (0)\n"
	"  mem=BYTES     quota of device memory; K, M, G, T; 0: no quota (0)\n"
	"  weight=N      share of the GPU's time, 1 to 65535 (256)\n"
	"  cap=PERCENT   upper bound, per cent of one GPU; 0: none (0)\n"
	"  max-buffers=N       how many buffers the guest may have\n"
	"  max-mapped-pages=N  how many of its pages may be mapped\n"
	"  mps=0|1       share the GPU with other such guests through MPS "
	"(0)\n"
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
	"       vgpuctl list --remembered [NAME|UUID]\n"
	"One line per device: domain, device, state of both ends, what the "
	"backend\n"
	"offers, policy, and the backend's last error.\n"
	"      --remembered   what the state file has, and the id of those "
	"that run\n";

static const char help_set[] =
	"usage: vgpuctl set DOMAIN [DEVID] KEY=VALUE,...\n"
	"Changes mem, weight or cap of a device while it is in use, and in the "
	"state\n"
	"file. DEVID can be left out where the domain has just one.\n";

static const char help_forget[] =
	"usage: vgpuctl forget NAME|UUID\n"
	"Removes a domain's devices from the state file. What is attached "
	"stays.\n";

static const char help_create[] =
	"usage: vgpuctl create CONFIG [XL-OPTIONS]\n"
	"Creates a domain with xl, paused, attaches a device for each entry "
	"of\n"
	"  vgpu = [ \"gpu=0,mem=4G,weight=256,cap=0\" ]\n"
	"in CONFIG, and unpauses it. Keys as for attach; see vgpu-xl.cfg(5). "
	"If\n"
	"anything fails the domain is destroyed again, and what is remembered "
	"of it is\n"
	"as before. XL-OPTIONS are those of xl create but -n, -F and -f; with "
	"-p the\n"
	"domain stays paused.\n";

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

bool vgpuctl_find_domain(struct vgpuctl *v, const char *text,
			 unsigned int *domid)
{
	if (domain_find(v->xs, text, domid))
		return true;
	say("there is no domain \"%s\"", text);
	return false;
}

static const struct command {
	const char *name;
	enum vgpuctl_exit (*run)(struct vgpuctl *v, int argc, char **argv);
	const char *help;
	const char *options; /* which of the long options it takes */
} commands[] = {
	{"attach", cmd_attach, help_attach, "nt"},
	{"detach", cmd_detach, help_detach, "ft"},
	{"set", cmd_set, help_set, ""},
	{"list", cmd_list, help_list, "r"},
	{"forget", cmd_forget, help_forget, ""},
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
		{"remembered", no_argument, NULL, 'r'},
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
		if (opt == 'r')
			v->remembered = true;
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

static enum vgpuctl_exit run_command(const struct command *cmd,
				     const char *state_file, int argc,
				     char **argv)
{
	struct vgpuctl v = {
		.wait = true, .timeout_s = TIMEOUT_S, .state_file = state_file};
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
	const char *state_file = REGISTRY_PATH;
	const struct command *cmd;
	const char *name;
	bool help;

	if (argc > 1 && !strcmp(argv[1], "--state-file")) {
		if (argc < 3 || !*argv[2]) {
			say("--state-file needs the name of a file");
			return EXIT_USAGE;
		}
		state_file = argv[2];
		argc -= 2;
		argv += 2;
	}
	name = argc > 1 ? argv[1] : "";
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
	return run_command(cmd, state_file, argc - 1, argv + 1);
}
