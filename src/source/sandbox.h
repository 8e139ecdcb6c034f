/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "source/confine.h"

/* A program that mounts things and starts processes, as builders of images do. It runs in mount and PID namespaces of its
 * own: nobody else sees its mounts, and when it ends, is cancelled, or the caller dies by whatever signal, the kernel ends
 * every process that it started. */
typedef struct Sandbox {
        char *const *argv;
        char *const *envp;
        const char *directory; /* where it starts; NULL: the caller's */

        /* For a program that works on a stranger's data: what it sees and may do. Without @online there, it has no
         * network, not even loopback and sockets of abstract names. NULL: it may do all that we may. */
        const Confinement *confinement;

        /* Called several times a second, and once more when the program has ended. When it returns a negative errno, all
         * is killed and that errno is returned. May be NULL. */
        int (*on_check)(void *userdata);
        void *check_userdata;

        /* Its on_line gets each line that the program prints to stdout or stderr; all is killed when it cancels. */
        const Listener *listener;
} Sandbox;

/* Runs it to its end, with stdin from /dev/null. Returns the exit status (>= 0; 128 + N for signal N), -ECANCELED, what
 * on_check returned, or another -errno. In every case nothing of it runs any more. */
int sandbox_run(const Sandbox *sandbox);
