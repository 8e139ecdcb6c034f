/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "network/hub.h"

/* The way out of a hub by the host's kernel: it forwards the packets of jobs and gives them its own addresses. On the host
 * this is one table of nftables, the same for all jobs, and two switches of the kernel. */

/* Makes sure of all of it, and tries whether packets get through. 0; NAT_BLOCKED, a documented outcome: another
 * firewall of the host drops them, as *reterr_problem says, and what to do about it; or -errno. Where IPv6 alone does
 * not get through, the hub goes on without it. */
#define NAT_BLOCKED 1
int nat_connect(Hub *hub, Problem *reterr_problem);

/* Does the host forward packets already? Otherwise nat_connect() switches that on: which names (static) of switches in
 * /proc/sys/net, or NULL. */
const char *nat_forwarding_missing(void);

/* Where nat_connect() writes which switches of the host it has changed. */
#define NAT_CHANGES_FILE "/run/nspawn-runner/changed-sysctls"
