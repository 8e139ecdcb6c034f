/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/hub.h"
#include "network/names.h"

/* Passes questions about names that containers ask the hub on to servers of the host, such as systemd-resolved's or
 * dnsmasq's on the loopback address. */

/* Starts a process for that, which ends with this one. It listens on port 53 of the hub's addresses, with UDP and TCP.
 * What it passes on it does not look at: the first of the servers that answers decides. 0 or -errno. */
int relay_start(const Hub *hub, const Names *names, Problem *reterr_problem);
