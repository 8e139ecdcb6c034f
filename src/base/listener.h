/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* How the caller of something that takes long hears of it, and stops it. Handed down from request to request. Each
 * callback may be NULL. */
typedef struct Listener {
        int cancel_fd; /* stops the work when readable (nothing is read from it); negative: nothing stops it */

        /* The next step begins: @step is such as "Running its playbook". */
        void (*on_step)(void *userdata, const char *step);
        /* A program that fetches, unpacks or fills a tree printed @line, which comes without its end. */
        void (*on_line)(void *userdata, const char *line);
        /* The same for what runs in the tree: ansible, apt, the test. */
        void (*on_output)(void *userdata, const char *line);
        /* Called about once a second while such a program runs. */
        void (*on_tick)(void *userdata);
        void *userdata;
} Listener;

/* Between a program and the caller's listener. @see gets each line first; the listener gets it if @see returns true. */
typedef struct ListenerTap {
        const Listener *listener;
        bool (*see)(void *userdata, const char *line);
        void *userdata;
} ListenerTap;

/* What to hand to the program instead of @tap->listener, for as long as @tap lives: its lines, ticks and cancel_fd. */
Listener listener_tapped(ListenerTap *tap);

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
