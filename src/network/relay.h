/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/hub.h"
#include "network/names.h"

/* Passes DNS questions that containers send to the hub on to servers of the host, such as systemd-resolved or dnsmasq
 * on the loopback address. */

/* Starts a process that does this and ends with this process. It listens on port 53 of the hub's addresses, with UDP
 * and TCP. It does not look at what it passes on: the first server that answers decides. 0, or -errno with
 * @reterr_problem filled in. */
int relay_start(const Hub *hub, const Names *names, Problem *reterr_problem);
