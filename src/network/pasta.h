/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/hub.h"

/* The way out of a hub by pasta(1), a program that takes the packets of jobs and does what they ask for with sockets of
 * its own: for hosts that let nobody forward packets. It takes longer to start than all the rest of a job, and needs
 * some 30 MB. */

/* Is the program there? */
bool pasta_is_installed(void);

/* Starts it for the hub, where it ends with this process, and waits until the hub has its way out. Only IPv4. 0 or -errno. */
int pasta_connect(Hub *hub, Problem *reterr_problem);
