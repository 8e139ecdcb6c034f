/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/value.h"
#include "network/hub.h"

/* A way in which a hub is connected to the world. */
typedef struct NetworkBackend {
        bool host_end; /* it needs the interface to the host: see hub_open() */
        /* Connects the hub. 0; NAT_BLOCKED (network/nat.h); or -errno. @reterr_problem then says why. */
        int (*connect)(Hub *hub, Problem *reterr_problem);
} NetworkBackend;

/* Returns the backend for a value of the setting network_backend; for WAY_OUT_AUTO, the one to try first. */
const NetworkBackend *backend_of(WayOut way);

/* Connects the hub with the backend for @way. With WAY_OUT_AUTO, tries the second backend if
 * packets do not get through with the first, and remembers that for a while. 0, or -errno with *reterr_problem saying
 * what to do. */
int backend_connect(WayOut way, Hub *hub, Problem *reterr_problem);

/* Forgets that the first backend was blocked, after packets were seen to get through: the next job tries it again. */
void backend_forget_blocked(const Hub *hub);
