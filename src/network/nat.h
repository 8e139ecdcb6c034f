/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "network/hub.h"

/* Connects a hub through the host's kernel, which forwards the packets of jobs and gives them the host's own addresses.
 * On the host, this needs one table of nftables, the same for all jobs, and two sysctls. */

/* Sets all of this up where it is missing, and tries whether packets get through. 0; NAT_BLOCKED, a documented outcome:
 * another firewall of the host drops the packets; or -errno. Unless it is 0, *reterr_problem says what is wrong and
 * what to do. If only IPv6 does not get through, the hub goes on without IPv6. */
#define NAT_BLOCKED 1
int nat_connect(Hub *hub, Problem *reterr_problem);

/* If the kernel's table of connections gets crowded, has it forget those of a job, of which no process is left. @block
 * and @host_index were the Hub's. If another job has the block already, all stay. Best effort. */
void nat_forget(const AddressBlock *block, unsigned host_index);

/* Returns the names (static text) of sysctls in /proc/sys/net that nat_connect() would switch on; NULL: the host
 * forwards packets already. */
const char *nat_forwarding_missing(void);

/* The file in which nat_connect() records which sysctls of the host it has changed. */
#define NAT_CHANGES_DIRECTORY RUNTIME_DIR_DEFAULT
#define NAT_CHANGES_FILE NAT_CHANGES_DIRECTORY "/changed-sysctls"
