/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What a program may do that works on a stranger's data, and that a hostile archive may have taken over. It gets a root of
 * its own, which contains only
 *      - the host's /usr, the links and directories that belong to it (/bin, /lib, ...), and the linker's cache,
 *      - what @readable names,
 *      - what @writable names, at the same paths,
 *      - /dev with null, zero, full and the sources of randomness, and /proc with its own processes.
 * All but the writable directories is read-only. No device but those can be opened, and set-user-ID bits have no effect.
 * The program cannot gain privileges. It has only capabilities that concern files, and none of the system calls that lead
 * out of all this (source/syscall-filter.h). */
typedef struct Confinement {
        char *const *writable; /* directories: absolute, and they exist; at least one */
        const char *tree,
                *tree_at;      /* the directory @tree is mounted read-only at @tree_at, an empty directory in a writable
                                     * one; NULL: none */
        char *const *readable; /* files and directories, absolute; what does not exist is left out. NULL: none */
        bool online;       /* it has internet sockets, and can read the files to resolve names and check certificates */
        bool unix_sockets; /* it can connect to local sockets that @readable names */
        bool any_owner;    /* it can give files any owner, mode and capability, and make device nodes */
} Confinement;

/* Confines this process and what it starts. @program, a name that is looked up in PATH or a path, becomes readable even if
 * it is not in /usr. This process must be alone in a mount namespace and the first in a PID namespace. 0 or -errno: then
 * the process must end. */
int confine(const Confinement *confinement, const char *program);
