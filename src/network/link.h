/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"
#include "network/netlink.h"

/* Changes to interfaces, addresses, routes and rules. Unless it returns something, each function adds messages to a
 * batch (network/netlink.h) for a NETLINK_ROUTE socket, and netlink_run() reports errors. @index is an interface's
 * number in the network namespace of that socket. */

typedef struct MacAddress {
        uint8_t bytes[6];
} MacAddress;

typedef struct LinkEnd {
        const char *name;
        int index; /* 0: the kernel chooses */
        MacAddress mac;
        int netns_fd; /* negative: the namespace of the socket; used only for a peer */
} LinkEnd;

/* Adds a pair of interfaces, which are not up yet. What is sent into one comes out of the other. Each one disappears
 * with the namespace of the other. netlink_run() returns -EEXIST if one of the names is taken. */
void link_add_veth(NetlinkBatch *batch, const LinkEnd *end, const LinkEnd *peer, uint32_t mtu);
/* Adds a switch, which is not up yet. */
void link_add_bridge(NetlinkBatch *batch, const LinkEnd *end, uint32_t mtu);
void link_set_up(NetlinkBatch *batch, int index);
/* Removes an interface, and its peer. */
void link_remove(NetlinkBatch *batch, int index);
/* Waits until the kernel really sends through interface @index, which was set up: in a pair whose other end was set up
 * later, this takes a moment. Gives up after a second. 0 or -errno. */
int link_wait_up(NetlinkSocket *socket, int index);
/* Plugs an interface into bridge @bridge. */
void link_set_bridge(NetlinkBatch *batch, int index, int bridge);
/* Keeps the kernel from giving the interface an IPv6 address by itself. To be called before link_set_up(). */
void link_set_no_own_ipv6(NetlinkBatch *batch, int index);

/* Gives the interface an address that can be used at once: the kernel does not look for duplicates. */
void address_add(NetlinkBatch *batch, int index, const IpNetwork *address);

/* Tells the kernel the MAC address of a neighbour, so that it need not ask for it. */
void neighbour_add(NetlinkBatch *batch, int index, const IpNetwork *address, MacAddress mac);

/* Adds a route to network @to through @gateway, which is reached through interface @index without a route of its
 * own. */
void route_add(NetlinkBatch *batch, int index, const IpNetwork *to, const IpNetwork *gateway);

/* A rule for packets that come in at interface @iif and match: the kernel refuses them with an answer. Rules with a
 * lower @priority count first. */
typedef struct PacketRule {
        uint32_t priority; /* from 1 to 32765; the main table comes after that */
        const char *iif;
        const IpNetwork *from; /* NULL: from everywhere */
        const IpNetwork *to;   /* NULL: to everywhere */
        uint32_t go_to;        /* do not refuse them, but go on at this priority; 0: refuse */
} PacketRule;
void rule_add(NetlinkBatch *batch, int family, const PacketRule *rule);
void rule_remove(NetlinkBatch *batch, int family, const PacketRule *rule);

/* How the host reaches an address. */
typedef struct RouteAnswer {
        unsigned type;   /* RTN_*; RTN_UNREACHABLE where there is no route */
        unsigned prefix; /* length of the route's destination; 0: a default route */
        int index;       /* of the interface; 0: none */
} RouteAnswer;
/* Asks the kernel how the host reaches @address, in the namespace of @socket (NETLINK_ROUTE). An address without a
 * route, or with one that refuses, is no error: the type is RTN_UNREACHABLE then. 0, or -errno with *ret untouched. */
int route_lookup(NetlinkSocket *socket, const IpNetwork *address, RouteAnswer *ret);
