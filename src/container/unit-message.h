/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "container/machine.h"

/* The unit of a container. */
typedef struct UnitRequest {
        const char *unit;  /* its name */
        const char *slice; /* that it is in; NULL: machine.slice */
        const Machine *machine;
        char *const *argv;
        int listen_fd; /* its standard input */
} UnitRequest;

/* Appends the arguments of StartTransientUnit to @message: the service and, for the job that has one, the slice, which is
 * made with it and goes when the last container in it has ended. bus_open() must have been called. 0 or -errno. */
int unit_message_append(sd_bus_message *message, const UnitRequest *request);
