/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The connection to systemd: libsystemd is loaded when a command first needs it. Called by unit.c. Nothing else may link or
 * load that library. */

#include "container/bus.h"

#include "base/macro.h"

BusApi bus_api;

void bus_closep(sd_bus **bus) {
        if (*bus)
                bus_api.sd_bus_flush_close_unref(*bus);
}

void bus_message_unrefp(sd_bus_message **message) {
        if (*message)
                bus_api.sd_bus_message_unref(*message);
}

void bus_slot_unrefp(sd_bus_slot **slot) {
        if (*slot)
                bus_api.sd_bus_slot_unref(*slot);
}

void bus_error_done(sd_bus_error *error) {
        if (bus_api.sd_bus_error_free) /* without the library, there is no error of the bus's */
                bus_api.sd_bus_error_free(error);
}

int bus_open(sd_bus **ret) {
        static const char *const names[] = { BUS_FUNCTIONS(LIBRARY_NAME) NULL };

        int r = library_load(LIBRARY_SYSTEMD, names, (void **) &bus_api);
        return r < 0 ? -ELIBACC : bus_api.sd_bus_open_system(ret);
}
