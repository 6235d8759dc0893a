/* SPDX-License-Identifier: MIT */
/*
 * confine.h - what a worker gives up before it looks at anything a guest wrote
 */
#ifndef VGPU_BACKEND_CONFINE_H
#define VGPU_BACKEND_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

#define CONFINE_USER "vgpu"

/*
 * Becomes CONFINE_USER where we are root and that user exists, gives up gaining
 * privileges for good, writes no core, and dies with the process parent. False
 * with one line in why.
 */
bool confine_privileges(pid_t parent, char *why, size_t size);

/*
 * Filters the system calls of all threads. family: of sockets, where the engine
 * is elsewhere and must be able to connect to it again; AF_UNSPEC: no sockets.
 * False with one line in why.
 */
bool confine_syscalls(int family, char *why, size_t size);

#endif /* VGPU_BACKEND_CONFINE_H */
