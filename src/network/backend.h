/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/hub.h"

/* A way in which a hub is connected to the world. */
typedef struct NetworkBackend {
        const char *name; /* its word in the setting network_backend */
        bool host_end;    /* it needs the interface to the host: see hub_open() */
        /* Connects the hub. 0; NAT_BLOCKED (network/nat.h); or -errno. @reterr_problem then says why. */
        int (*connect)(Hub *hub, Problem *reterr_problem);
} NetworkBackend;

/* Finds the backend of that name; for "auto", the one to try first. Never NULL for a name that
 * text_is_network_backend() accepts. */
const NetworkBackend *backend_find(const char *name);

/* Connects the hub with backend @name, a value of the setting network_backend. With "auto", tries the second backend if
 * packets do not get through with the first, and remembers that for a while. 0, or -errno with *reterr_problem saying
 * what to do. */
int backend_connect(const char *name, Hub *hub, Problem *reterr_problem);

/* Forgets that the first backend was blocked, after packets were seen to get through: the next job tries it again. */
void backend_forget_blocked(const Hub *hub);
