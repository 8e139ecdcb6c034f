/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "base/library.h"

/* libsystemd, as the supervisor for hosts with systemd uses it (unit.c, unit-message.c), and nobody else. */

#define BUS_FUNCTIONS(X)                  \
        X(sd_bus_open_system)             \
        X(sd_bus_flush_close_unref)       \
        X(sd_bus_call)                    \
        X(sd_bus_call_method)             \
        X(sd_bus_match_signal)            \
        X(sd_bus_process)                 \
        X(sd_bus_wait)                    \
        X(sd_bus_slot_unref)              \
        X(sd_bus_message_new_method_call) \
        X(sd_bus_message_append)          \
        X(sd_bus_message_append_strv)     \
        X(sd_bus_message_open_container)  \
        X(sd_bus_message_close_container) \
        X(sd_bus_message_enter_container) \
        X(sd_bus_message_exit_container)  \
        X(sd_bus_message_read)            \
        X(sd_bus_message_unref)           \
        X(sd_bus_error_has_name)          \
        X(sd_bus_error_free)

typedef struct BusApi {
        BUS_FUNCTIONS(LIBRARY_POINTER)
} BusApi;

/* Filled in by bus_open(). */
extern BusApi bus_api;

/* Connects to the system bus: 0; -ELIBACC: libsystemd cannot be loaded; or another -errno. */
int bus_open(sd_bus **ret);

void bus_closep(sd_bus **bus);
void bus_message_unrefp(sd_bus_message **message);
void bus_slot_unrefp(sd_bus_slot **slot);
void bus_error_done(sd_bus_error *error);
#define _cleanup_bus_ _cleanup_(bus_closep)
#define _cleanup_message_ _cleanup_(bus_message_unrefp)
#define _cleanup_slot_ _cleanup_(bus_slot_unrefp)
#define _cleanup_error_ _cleanup_(bus_error_done)
