/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "source/confine.h"

/* A program that works on half of the host's files (as builders of images do), run so that nothing of it can outlive
 * it: in a mount and a PID namespace of its own. Its mounts are nobody else's, and when it ends, or is cancelled, or the
 * caller dies by whatever signal, the kernel ends every process that it started. */
typedef struct Sandbox {
        char *const *argv;
        char *const *envp;
        const char *directory; /* it starts in; NULL: the caller's */

        /* For programs that work on what comes from outside: what they see and may do. Without @online there, they have no
         * network, not even loopback and sockets of abstract names. NULL: they may do all that we may. */
        const Confinement *confinement;

        /* Called all the time, at least each second; once more when the program has ended. When it returns a negative
         * errno, everything is killed and that is returned. May be NULL. */
        int (*on_check)(void *userdata);
        void *check_userdata;

        /* Told of each line that the program prints to stdout or stderr; everything is killed when it cancels. */
        const Listener *listener;
} Sandbox;

/* Runs it to its end, with stdin from /dev/null. Returns the exit status (>= 0; 128 + N for signal N), -ECANCELED, what
 * on_check returned, or another -errno. In every case nothing of it runs any more. */
int sandbox_run(const Sandbox *sandbox);
