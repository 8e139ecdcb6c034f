/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Whoever waits for long work: how they hear of it, and how they stop it. Handed down from request to request. Each
 * callback may be NULL. */
typedef struct Listener {
        int cancel_fd; /* stops the work when readable (nothing is read); negative: nothing stops it */

        /* What begins now, as in "Running its playbook". */
        void (*on_step)(void *userdata, const char *step);
        /* A line, without its end, that a program prints which fetches, unpacks or fills a tree. */
        void (*on_line)(void *userdata, const char *line);
        /* The same of what runs in the tree: ansible, apt, the test. */
        void (*on_output)(void *userdata, const char *line);
        /* About each second, while a program runs that on_line is told of. */
        void (*on_tick)(void *userdata);
        void *userdata;
} Listener;

static inline void listener_step(const Listener *listener, const char *step) {
        if (listener->on_step)
                listener->on_step(listener->userdata, step);
}

static inline void listener_line(const Listener *listener, const char *line) {
        if (listener->on_line)
                listener->on_line(listener->userdata, line);
}

static inline void listener_output(const Listener *listener, const char *line) {
        if (listener->on_output)
                listener->on_output(listener->userdata, line);
}

static inline void listener_tick(const Listener *listener) {
        if (listener->on_tick)
                listener->on_tick(listener->userdata);
}
