/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/hub.h"

/* Connects a hub by pasta(1), a program that receives the packets of jobs and sends their content through sockets of
 * its own, for hosts that do not let us forward packets. It takes longer to start than everything else in a job, and
 * needs some 30 MB. */

/* Is pasta installed? */
bool pasta_is_installed(void);

/* Starts pasta for the hub, and waits until the hub is connected. Only IPv4. pasta ends with this process. 0, or -errno
 * with @reterr_problem filled in. */
int pasta_connect(Hub *hub, Problem *reterr_problem);
