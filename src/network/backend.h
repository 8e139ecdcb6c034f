/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/hub.h"

/* The ways out of a hub. */
typedef struct NetworkBackend {
        const char *name; /* as the setting network_backend has it */
        bool host_end;    /* it needs the interface to the host, see hub_open() */
        /* Gives the hub its way out. 0; NAT_BLOCKED (network/nat.h); or -errno. */
        int (*connect)(Hub *hub, Problem *reterr_problem);
} NetworkBackend;

/* The backend of that name; that of "auto" is the first to be tried. Never NULL for what text_is_network_backend() lets
 * through. */
const NetworkBackend *backend_find(const char *name);

/* Connects the hub by the backend of the setting @name. With "auto", by the second one where the first one does not get
 * through: that this is so is remembered for a while. 0 or -errno, with *reterr_problem saying what to do. */
int backend_connect(const char *name, Hub *hub, Problem *reterr_problem);

/* Packets were seen to get through: the next job is to use the first backend again. */
void backend_forget_blocked(const Hub *hub);
