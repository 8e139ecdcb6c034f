/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <net/if.h>

#include "base/problem.h"
#include "network/block.h"
#include "network/hub-rules.h"
#include "network/link.h"

/* The private segment of a job: a network namespace without processes, with a switch that connects the job's
 * containers, and a connection to the world. The hub routes between the two, and refuses packets to what jobs must not
 * reach. Neither a job nor a reload of the host's firewall can change its rules. The kernel removes it when nothing
 * holds its descriptor any more. */
typedef struct Hub {
        int host_fd, netns_fd;
        NetlinkSocket *host, *link; /* for the network namespaces of the host and of the hub */
        AddressBlock block;
        bool ipv6;           /* the hub is connected with IPv6, too */
        unsigned host_index; /* of the host's end; 0: the host's kernel does not forward packets (nat_connect()) */
        uint32_t mtu;
} Hub;

#define HUB_NONE                                       \
        (Hub) {                                        \
                .host_fd = -EBADF, .netns_fd = -EBADF, \
        }

/* Addresses that no host has (RFC 5737, RFC 3849), but that are routed like all others. */
#define HUB_NOWHERE "198.51.100.1"
#define HUB_NOWHERE6 "2001:db8::1"

/* The host sees one interface for each job that is connected by NAT. Its name is this prefix and the address of the
 * job's block in 8 hexadecimal digits. The block is taken as long as the interface exists, so every program on the host
 * can see which blocks are taken, and the kernel frees them. */
#define HUB_HOST_INTERFACE_PREFIX "nspr-"
/* Names of the interface's other end, in the hub, and of a container's only interface. */
#define HUB_UPLINK "up"
#define HUB_UPLINK_INDEX 2
#define HUB_BRIDGE_INDEX 3
#define HUB_MACHINE_INTERFACE "eth0"

/* Writes the name of that interface. */
void hub_host_interface(const AddressBlock *block, char ret[static IF_NAMESIZE]);

void hub_done(Hub *hub);
#define _cleanup_hub_ _cleanup_(hub_done)

/* Makes the hub with its switch. With @uplink, takes a free block of addresses and makes the pair of interfaces between
 * hub and host; otherwise uses any block, because nobody else sees its addresses. @pool is the setting network_pool;
 * the search for a block starts at a place that depends on @holder. 0 with @ret for hub_done(); -EBUSY: all blocks are
 * in use, and stayed so for some seconds; -EADDRNOTAVAIL: the host uses these addresses; -ELIBACC: libmnl is not
 * installed; or another -errno. On failure *reterr_problem says why, and nothing is left. */
int hub_open(const char *pool, const char *holder, bool uplink, Hub *ret, Problem *reterr_problem);

/* Removes the pair of interfaces that hub_open() made for @uplink. 0 or -errno. */
int hub_drop_uplink(Hub *hub, Problem *reterr_problem);

/* Makes a Hub for hub_plug() of a hub that another process has made. @netns_fd, which is consumed, is its namespace;
 * the other arguments are fields of that process's Hub. 0 with @ret for hub_done(), or -errno. */
int hub_join(int netns_fd, const AddressBlock *block, bool ipv6, uint32_t mtu, Hub *ret, Problem *reterr_problem);

/* Connects a container to the hub: its network namespace @netns_fd gets HUB_MACHINE_INTERFACE with address @number of
 * the block. All users in it may listen on every port, and use ping. 0, or -errno with @reterr_problem filled in. */
int hub_plug(Hub *hub, int netns_fd, unsigned number, Problem *reterr_problem);
