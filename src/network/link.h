/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"
#include "network/netlink.h"

/* What is done to interfaces, addresses, routes and rules: each function adds messages to a batch (network/netlink.h) for
 * a NETLINK_ROUTE socket. @index is an interface's number in the namespace of that socket. */

typedef struct MacAddress {
        uint8_t bytes[6];
} MacAddress;

typedef struct LinkEnd {
        const char *name;
        int index; /* 0: the kernel chooses */
        MacAddress mac;
        int netns_fd; /* negative: the namespace of the socket; counts for the peer only */
} LinkEnd;

/* A pair of interfaces, not up yet. What is sent into one comes out of the other; each goes when the other's namespace goes.
 * -EEXIST: one of the names is taken. */
void link_add_veth(NetlinkBatch *batch, const LinkEnd *end, const LinkEnd *peer, uint32_t mtu);
/* A switch, not up yet. */
void link_add_bridge(NetlinkBatch *batch, const LinkEnd *end, uint32_t mtu);
void link_set_up(NetlinkBatch *batch, int index);
/* Removes an interface, and its peer. */
void link_remove(NetlinkBatch *batch, int index);
/* Waits until the kernel really sends by interface @index, which was switched on: of a pair whose other end came later,
 * that is a moment after. Gives up after a second. 0 or -errno. */
int link_wait_up(NetlinkSocket *socket, int index);
/* Plugs an interface into bridge @bridge. */
void link_set_bridge(NetlinkBatch *batch, int index, int bridge);
/* No address of IPv6 that the kernel would make up itself; to be called before link_set_up(). */
void link_set_no_own_ipv6(NetlinkBatch *batch, int index);

/* Gives the interface an address, which is usable at once: nobody is asked whether it is a duplicate. */
void address_add(NetlinkBatch *batch, int index, const IpNetwork *address);

/* Says which interface has an address of the next link, so that nobody is asked for it. */
void neighbour_add(NetlinkBatch *batch, int index, const IpNetwork *address, MacAddress mac);

/* To network @to by way of @gateway, which is reached through interface @index without a route to it. */
void route_add(NetlinkBatch *batch, int index, const IpNetwork *to, const IpNetwork *gateway);

/* What the kernel does with packets that came in at interface @iif and match: refuses them with an answer. Rules with a lower
 * @priority count first. */
typedef struct PacketRule {
        uint32_t priority; /* from 1 to 32765, where the main table comes */
        const char *iif;
        const IpNetwork *from; /* NULL: from everywhere */
        const IpNetwork *to;   /* NULL: to everywhere */
        uint32_t go_to;        /* instead of refusing them: the priority where it goes on; 0: nowhere */
} PacketRule;
void rule_add(NetlinkBatch *batch, int family, const PacketRule *rule);
void rule_remove(NetlinkBatch *batch, int family, const PacketRule *rule);

/* How the host reaches an address. */
typedef struct RouteAnswer {
        unsigned type;   /* RTN_*; RTN_UNREACHABLE where there is no route */
        unsigned prefix; /* length of the route's destination; 0: a default route */
        int index;       /* of the interface; 0: none */
} RouteAnswer;
int route_lookup(NetlinkSocket *socket, const IpNetwork *address, RouteAnswer *ret);
