/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lets the makers of trees (source/) read what a program prints before whoever waits for the work hears of it. It
 * keeps no line, and cancel_fd is passed on as it is: nothing in between may stop a cancellation. */

#include "base/listener.h"

static void tap_line(void *userdata, const char *line) {
        const ListenerTap *tap = userdata;

        if (tap->see(tap->userdata, line))
                listener_line(tap->listener, line);
}

static void tap_tick(void *userdata) {
        const ListenerTap *tap = userdata;

        listener_tick(tap->listener);
}

Listener listener_tapped(ListenerTap *tap) {
        return (Listener){
                .cancel_fd = tap->listener->cancel_fd,
                .on_line = tap_line,
                .on_tick = tap->listener->on_tick ? tap_tick : NULL,
                .userdata = tap,
        };
}
