/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What a program may do that works on what comes from outside, and that a hostile archive may have taken over. It gets a
 * root of its own, in which there is nothing but
 *      - the host's /usr with the links and directories beside it that belong to it, and the linker's cache,
 *      - what @readable names,
 *      - what @writable names, at the same paths,
 *      - /dev with null, zero, full and the sources of randomness, and /proc with its own processes.
 * All of it but the writable directories is read-only, no device can be opened, no set-user-ID program counts. It can
 * gain no privilege, has no capabilities but those about files, and none of the system calls that lead out of all this
 * (source/syscall-filter.h). */
typedef struct Confinement {
        char *const *writable; /* directories: absolute, and they exist; at least one */
        char *const *readable; /* files and directories, absolute; what does not exist is left out. NULL: none */
        bool online;       /* sockets of the internet, and what names are resolved and certificates are checked with */
        bool unix_sockets; /* those of the host's that @readable names, too */
        bool any_owner;    /* it gives files any owner, mode and capability, and makes device nodes */
} Confinement;

/* Confines this process and what it starts, which is @program: a name that is looked up in PATH, or a path. Where that is
 * not in /usr, it is readable, too. This process must be alone in a mount namespace and the first in a PID namespace.
 * 0 or -errno; then the process is to end. */
int confine(const Confinement *confinement, const char *program);
