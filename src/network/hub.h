/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "network/block.h"
#include "network/link.h"

/* The private segment of a job: a network namespace that no process is in, with a switch that the containers of the job
 * are plugged into, and a way out. The hub routes between the two, and refuses what jobs must not reach: nothing of
 * that is in reach of a job, nor of a firewall of the host that is loaded anew. It is gone as soon as nobody has its
 * descriptor. */
typedef struct Hub {
        int host_fd, netns_fd;
        NetlinkSocket *host, *link; /* speak to the host's namespace, and to the hub's */
        AddressBlock block;
        bool ipv6; /* it has a way out with IPv6, too */
        uint32_t mtu;
} Hub;

#define HUB_NONE                                       \
        (Hub) {                                        \
                .host_fd = -EBADF, .netns_fd = -EBADF, \
        }

/* What the interfaces are called that the host sees, one for each job with a way out by NAT: this, and the address of
 * its block in 8 hexadecimal digits. So a block is taken as long as the interface is there, for every program on the
 * host, and the kernel gives it back. */
#define HUB_HOST_INTERFACE_PREFIX "nspr-"
/* What its end in the hub is called, and the switch; and a container's only interface. */
#define HUB_UPLINK "up"
#define HUB_UPLINK_INDEX 2
#define HUB_BRIDGE "br0"
#define HUB_BRIDGE_INDEX 3
#define HUB_MACHINE_INTERFACE "eth0"

void hub_done(Hub *hub);
#define _cleanup_hub_ _cleanup_(hub_done)

/* Makes the hub with its switch, and, with @uplink, takes a free block of addresses and makes the pair of interfaces
 * between the hub and the host; otherwise any block will do, because nobody else sees its addresses. @pool: the setting
 * network_pool; @holder decides where the search starts. 0; -EBUSY: all blocks are in use; -EADDRNOTAVAIL: the host
 * uses these addresses; -ELIBACC: no libmnl; or -errno. *reterr_problem says why. */
int hub_open(const char *pool, const char *holder, bool uplink, Hub *ret, Problem *reterr_problem);

/* Lets containers reach link-local addresses of the world, which the hub refuses at first: somebody else has rules
 * about those. 0 or -errno. */
int hub_allow_link_local(Hub *hub, Problem *reterr_problem);

/* Takes away the pair of interfaces that hub_open() made with @uplink. 0 or -errno. */
int hub_drop_uplink(Hub *hub, Problem *reterr_problem);

/* The hub that another process has, for hub_plug(): @netns_fd, which is consumed, is its namespace, and what else is
 * needed of it is as in that one's Hub. 0 or -errno. */
int hub_join(int netns_fd, const AddressBlock *block, bool ipv6, uint32_t mtu, Hub *ret, Problem *reterr_problem);

/* Plugs a container into the hub: its network namespace @netns_fd gets HUB_MACHINE_INTERFACE with address @number of
 * the block. Everybody there may listen on every port, and use ping. 0 or -errno. */
int hub_plug(Hub *hub, int netns_fd, unsigned number, Problem *reterr_problem);
