/* SPDX-License-Identifier: MIT */
/*
 * vgpu-xenstore-check - does the live xenstore obey vgpu.schema?
 *
 * Runs in dom0, once, and ends. Owns the command line and the transaction;
 * check.c does the rest. Must never write to xenstore: the transaction is
 * always abandoned.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char usage[] =
	"usage: vgpu-xenstore-check [--quiet]\n"
	"Holds the nodes of all vgpu devices in xenstore against their "
	"schema:\n"
	"names, values, what must exist in which state, permissions.\n"
	"One line per finding on standard output.\n"
	"  -q, --quiet   no summary line\n"
	"      --help    this text\n"
	"      --version version\n"
	"Exit status: 0 nothing found, 1 findings, 2 xenstore cannot be "
	"read.\n";

int main(int argc, char **argv)
{
	unsigned int devices;
	struct xs_handle *h;
	xs_transaction_t t;
	bool quiet = false;
	int findings, saved;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-q") || !strcmp(argv[i], "--quiet")) {
			quiet = true;
		} else if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 0;
		} else if (!strcmp(argv[i], "--version")) {
			puts("vgpu-xenstore-check " VGPU_VERSION);
			return 0;
		} else {
			fprintf(stderr,
				"vgpu-xenstore-check: unknown argument %s\n%s",
				argv[i], usage);
			return 2;
		}
	}
	h = xs_open(0);
	if (!h) {
		fprintf(stderr,
			"vgpu-xenstore-check: cannot reach xenstore: %s\n",
			strerror(errno));
		return 2;
	}
	t = xs_transaction_start(h);
	if (t == XBT_NULL) {
		fprintf(stderr, "vgpu-xenstore-check: no transaction: %s\n",
			strerror(errno));
		xs_close(h);
		return 2;
	}
	findings = schema_check(h, t, stdout, &devices);
	saved = errno;
	xs_transaction_end(h, t, true);
	xs_close(h);
	if (findings < 0) {
		fprintf(stderr,
			"vgpu-xenstore-check: cannot read /local/domain: %s\n",
			strerror(saved));
		return 2;
	}
	if (!quiet)
		printf("%u device%s, %d finding%s\n", devices,
		       devices == 1 ? "" : "s", findings,
		       findings == 1 ? "" : "s");
	return findings ? 1 : 0;
}
