/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A program that works on half of the host's files (as builders of images do), run so that nothing of it can outlive
 * it: in a mount and a PID namespace of its own. Its mounts are nobody else's, and when it ends, or is cancelled, or the
 * caller dies by whatever signal, the kernel ends every process that it started. */
typedef struct Sandbox {
        char *const *argv;
        char *const *envp;
        int cancel_fd; /* everything is killed when this becomes readable (nothing is read); negative: never */

        /* Each line that the program prints to stdout or stderr, without its end; may be NULL. */
        void (*on_line)(void *userdata, const char *line);
        /* About each second; may be NULL. */
        void (*on_tick)(void *userdata);
        void *userdata;
} Sandbox;

/* Runs it to its end, with stdin from /dev/null. Returns the exit status (>= 0; 128 + N for signal N), -ECANCELED, or
 * another -errno. In every case nothing of it runs any more. */
int sandbox_run(const Sandbox *sandbox);
