/* SPDX-License-Identifier: MIT */
/*
 * vgpuctl_main.c - main() of vgpuctl, apart so that a test can link the rest
 */
#include "vgpuctl.h"

int main(int argc, char **argv)
{
	return vgpuctl_run(argc, argv);
}
