/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Which sockets can be made. */
typedef enum SyscallSockets {
        SYSCALL_SOCKETS_NONE,
        SYSCALL_SOCKETS_INTERNET, /* and netlink, which tells what addresses this host has */
        SYSCALL_SOCKETS_UNIX,     /* those, and local ones */
} SyscallSockets;

/* Takes system calls from this process and all that it starts, for good: those that make sockets of other kinds, that
 * open files without a path, mount, make namespaces, look into other processes, trace, load code into the kernel, or
 * reach keys and io_uring, which knows no such filters. Programs of other architectures are killed. Sets no_new_privs.
 * 0 or -errno. */
int syscall_filter_install(SyscallSockets sockets);
