/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "network/block.h"
#include "network/link.h"

/* The name of the hub's switch */
#define HUB_BRIDGE "br0"

/* Adds the rules that refuse packets from containers of the segment with @block: those with forged sources, those to
 * other jobs, and those to closed networks (network/closed.h). */
void hub_rules_protect(NetlinkBatch *batch, const AddressBlock *block, bool ipv6);

/* Lets containers reach one of the closed networks. Called when the egress rules decide about its addresses. @link is for the
 * hub's namespace. 0 or -errno. */
int hub_rules_open(NetlinkSocket *link, const IpNetwork *closed, Problem *reterr_problem);

/* Refuses what the hub's own kernel sends, unless it is for a container. Called once the hub is connected, because
 * routes to gateways cannot be made afterwards. Without @ipv6, the kernel may not have IPv6. 0 or -errno. */
int hub_rules_keep_silent(NetlinkSocket *link, const AddressBlock *block, bool ipv6, Problem *reterr_problem);
