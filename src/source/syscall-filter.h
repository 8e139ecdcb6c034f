/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Which sockets a program can make. */
typedef enum SyscallSockets {
        SYSCALL_SOCKETS_NONE,
        SYSCALL_SOCKETS_INTERNET, /* and netlink sockets, which tell what addresses this host has */
        SYSCALL_SOCKETS_UNIX,     /* the same, and local sockets */
} SyscallSockets;

/* Forbids system calls to this process and everything that it starts, for good: calls that make sockets of other kinds,
 * open files without a path, mount, make namespaces, look into other processes, trace, load code into the kernel, use
 * keys, or use io_uring, which would evade such a filter. Programs of other architectures are killed. Sets
 * no_new_privs. 0 or -errno. */
int syscall_filter_install(SyscallSockets sockets);
