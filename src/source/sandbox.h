/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A program that works on half of the host's files (as builders of images do), run so that nothing of it can outlive
 * it: in a mount and a PID namespace of its own. Its mounts are nobody else's, and when it ends, or is cancelled, or the
 * caller dies by whatever signal, the kernel ends every process that it started. */
typedef struct Sandbox {
        char *const *argv;
        char *const *envp;
        const char *directory; /* it starts in; NULL: the caller's */
        int cancel_fd;         /* everything is killed when this becomes readable (nothing is read); negative: never */

        /* For programs that work on what comes from outside. With a list of directories, which are absolute and exist,
         * these are all that it can write to: the whole rest of the file system is read-only for it, /dev has nothing
         * but null, zero, full and the sources of randomness, no device anywhere else can be opened, /proc is
         * read-only, and it has no capabilities but those about files. NULL: no restriction. */
        char *const *writable;
        bool offline; /* no network, not even loopback and sockets of abstract names */

        /* Each line that the program prints to stdout or stderr, without its end; may be NULL. */
        void (*on_line)(void *userdata, const char *line);
        /* About each second; may be NULL. */
        void (*on_tick)(void *userdata);
        void *userdata;
} Sandbox;

/* Runs it to its end, with stdin from /dev/null. Returns the exit status (>= 0; 128 + N for signal N), -ECANCELED, or
 * another -errno. In every case nothing of it runs any more. */
int sandbox_run(const Sandbox *sandbox);
