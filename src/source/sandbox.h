/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "source/confine.h"

/* A program that mounts things and starts processes, as builders of images do. It runs in mount and PID namespaces of
 * its own, so nobody else sees its mounts. The kernel ends every process that it started when it ends, when it is
 * cancelled, and when the caller dies by any signal. */
typedef struct Sandbox {
        char *const *argv;
        char *const *envp;
        const char *directory; /* where it starts; NULL: in the caller's directory */

        /* What a program that works on untrusted data sees and may do. Without its @online, the program has no network,
         * not even loopback and sockets with abstract names. NULL: it may do everything that we may. */
        const Confinement *confinement;

        /* Called several times a second, unless it takes long itself, and once more when the program has ended. When it
         * returns a negative errno, everything is killed and sandbox_run() returns that errno. May be NULL. */
        int (*on_check)(void *userdata);
        void *check_userdata;

        /* Its on_line gets each line that the program prints to stdout or stderr; when it cancels, everything is
         * killed. */
        const Listener *listener;
} Sandbox;

/* Runs the program to its end, with stdin from /dev/null. Returns the exit status (>= 0; 128 + N for signal N),
 * -ECANCELED, what on_check returned, or another -errno. In every case none of its processes is left. */
int sandbox_run(const Sandbox *sandbox);
