/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Which sockets a program can make. */
typedef enum SyscallSockets {
        SYSCALL_SOCKETS_NONE,
        SYSCALL_SOCKETS_INTERNET, /* and netlink, which tells what addresses this host has */
        SYSCALL_SOCKETS_UNIX,     /* those, and local ones */
} SyscallSockets;

/* Forbids system calls to this process and all that it starts, for good: those that make sockets of other kinds, open files
 * without a path, mount, make namespaces, look into other processes, trace, load code into the kernel, use keys, or use
 * io_uring, which would evade such a filter. Programs of other architectures are killed. Sets no_new_privs. 0 or
 * -errno. */
int syscall_filter_install(SyscallSockets sockets);
