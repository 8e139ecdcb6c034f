/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The messages of rtnetlink(7) that make a network: pairs of interfaces, switches, addresses, routes, rules. Used by
 * the other files of this folder. It must not know what a network is for: names and addresses come from the callers. */

#include "network/link.h"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>

#include "base/clock.h"

/* How long link_wait_up() takes at most, and how often it asks. */
#define WAIT_UP_USEC USEC_PER_SEC
#define WAIT_UP_POLL_USEC 200

#define NEW (NLM_F_CREATE | NLM_F_EXCL)

static unsigned address_bytes(int family) {
        return family == AF_INET ? 4 : 16;
}

static void put_address(NetlinkBatch *batch, unsigned attribute, const IpNetwork *address) {
        netlink_put(batch, attribute, address->address, address_bytes(address->family));
}

static void put_end(NetlinkBatch *batch, const LinkEnd *end, uint32_t mtu) {
        netlink_put_string(batch, IFLA_IFNAME, end->name);
        netlink_put(batch, IFLA_ADDRESS, end->mac.bytes, sizeof(end->mac.bytes));
        netlink_put_u32(batch, IFLA_MTU, mtu);
        if (end->netns_fd >= 0)
                netlink_put_u32(batch, IFLA_NET_NS_FD, (uint32_t) end->netns_fd);
}

void link_add_veth(NetlinkBatch *batch, const LinkEnd *end, const LinkEnd *peer, uint32_t mtu) {
        const struct ifinfomsg header = { .ifi_index = end->index }, peer_header = { .ifi_index = peer->index };
        LinkEnd here = *end;

        here.netns_fd = -1;
        netlink_begin(batch, RTM_NEWLINK, NEW, &header, sizeof(header), "make a pair of interfaces (veth)");
        put_end(batch, &here, mtu);
        struct nlattr *info = netlink_nest(batch, IFLA_LINKINFO);
        netlink_put_string(batch, IFLA_INFO_KIND, "veth");
        struct nlattr *data = netlink_nest(batch, IFLA_INFO_DATA);
        /* This attribute begins with a header, not with other attributes. */
        struct nlattr *other = netlink_nest(batch, VETH_INFO_PEER);
        netlink_put_header(batch, &peer_header, sizeof(peer_header));
        put_end(batch, peer, mtu);
        netlink_nest_end(batch, other);
        netlink_nest_end(batch, data);
        netlink_nest_end(batch, info);
}

void link_add_bridge(NetlinkBatch *batch, const LinkEnd *end, uint32_t mtu) {
        const struct ifinfomsg header = { .ifi_index = end->index };

        netlink_begin(batch, RTM_NEWLINK, NEW, &header, sizeof(header), "make a switch (bridge)");
        put_end(batch, end, mtu);
        struct nlattr *info = netlink_nest(batch, IFLA_LINKINFO);
        netlink_put_string(batch, IFLA_INFO_KIND, "bridge");
        struct nlattr *data = netlink_nest(batch, IFLA_INFO_DATA);
        /* Multicast packets go to all ports: there are few. */
        netlink_put_u8(batch, IFLA_BR_MCAST_SNOOPING, 0);
        netlink_nest_end(batch, data);
        netlink_nest_end(batch, info);
}

void link_set_up(NetlinkBatch *batch, int index) {
        const struct ifinfomsg header = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

        netlink_begin(batch, RTM_NEWLINK, 0, &header, sizeof(header), "switch an interface on");
}

void link_remove(NetlinkBatch *batch, int index) {
        const struct ifinfomsg header = { .ifi_index = index };

        netlink_begin(batch, RTM_DELLINK, 0, &header, sizeof(header), "remove an interface");
}

static void take_state(unsigned attribute, const void *data, size_t size, void *userdata) {
        if (attribute == IFLA_OPERSTATE && size == sizeof(uint8_t))
                memcpy(userdata, data, size);
}

int link_wait_up(NetlinkSocket *socket, int index) {
        const struct ifinfomsg request = { .ifi_index = index };
        uint64_t deadline = clock_deadline(WAIT_UP_USEC);

        for (;;) {
                NetlinkBatch batch = { 0 };
                struct ifinfomsg header;
                uint8_t state = IF_OPER_UNKNOWN;

                netlink_begin(&batch, RTM_GETLINK, 0, &request, sizeof(request), "ask for an interface");
                int r = netlink_ask(socket, &batch, sizeof(header), &header, take_state, &state);
                if (r < 0 || state == IF_OPER_UP || clock_now_usec() >= deadline)
                        return r;
                clock_sleep_usec(WAIT_UP_POLL_USEC);
        }
}

void link_set_bridge(NetlinkBatch *batch, int index, int bridge) {
        const struct ifinfomsg header = { .ifi_index = index };

        netlink_begin(batch, RTM_NEWLINK, 0, &header, sizeof(header), "plug an interface into a bridge");
        netlink_put_u32(batch, IFLA_MASTER, (uint32_t) bridge);
}

void link_set_no_own_ipv6(NetlinkBatch *batch, int index) {
        const struct ifinfomsg header = { .ifi_index = index };

        netlink_begin(batch, RTM_NEWLINK, 0, &header, sizeof(header), "keep an interface from making up addresses");
        struct nlattr *families = netlink_nest(batch, IFLA_AF_SPEC);
        struct nlattr *family = netlink_nest(batch, AF_INET6);
        netlink_put_u8(batch, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
        netlink_nest_end(batch, family);
        netlink_nest_end(batch, families);
}

void address_add(NetlinkBatch *batch, int index, const IpNetwork *address) {
        const struct ifaddrmsg header = {
                .ifa_family = (uint8_t) address->family,
                .ifa_prefixlen = (uint8_t) address->prefix,
                .ifa_index = (uint32_t) index,
        };

        netlink_begin(batch, RTM_NEWADDR, NEW, &header, sizeof(header), "give an interface an address");
        put_address(batch, IFA_LOCAL, address);
        put_address(batch, IFA_ADDRESS, address);
        netlink_put_u32(batch, IFA_FLAGS, IFA_F_NODAD);
}

void neighbour_add(NetlinkBatch *batch, int index, const IpNetwork *address, MacAddress mac) {
        const struct ndmsg header = {
                .ndm_family = (uint8_t) address->family,
                .ndm_ifindex = index,
                .ndm_state = NUD_PERMANENT,
        };

        netlink_begin(batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header), "name a neighbour");
        put_address(batch, NDA_DST, address);
        netlink_put(batch, NDA_LLADDR, mac.bytes, sizeof(mac.bytes));
}

void route_add(NetlinkBatch *batch, int index, const IpNetwork *to, const IpNetwork *gateway) {
        const struct rtmsg header = {
                .rtm_family = (uint8_t) to->family,
                .rtm_dst_len = (uint8_t) to->prefix,
                .rtm_table = RT_TABLE_MAIN,
                .rtm_protocol = RTPROT_STATIC,
                .rtm_scope = RT_SCOPE_UNIVERSE,
                .rtm_type = RTN_UNICAST,
                .rtm_flags = RTNH_F_ONLINK,
        };

        netlink_begin(batch, RTM_NEWROUTE, NEW, &header, sizeof(header), "add a route");
        if (to->prefix > 0)
                put_address(batch, RTA_DST, to);
        put_address(batch, RTA_GATEWAY, gateway);
        netlink_put_u32(batch, RTA_OIF, (uint32_t) index);
}

static void put_rule(NetlinkBatch *batch, unsigned type, unsigned flags, int family, const PacketRule *rule) {
        const struct fib_rule_hdr header = {
                .family = (uint8_t) family,
                .src_len = rule->from ? (uint8_t) rule->from->prefix : 0,
                .dst_len = rule->to ? (uint8_t) rule->to->prefix : 0,
                .action = rule->go_to > 0 ? FR_ACT_GOTO : FR_ACT_PROHIBIT,
        };

        netlink_begin(batch, type, flags, &header, sizeof(header), "change the rules for packets (ip rule)");
        netlink_put_u32(batch, FRA_PRIORITY, rule->priority);
        netlink_put_string(batch, FRA_IIFNAME, rule->iif);
        if (rule->go_to > 0)
                netlink_put_u32(batch, FRA_GOTO, rule->go_to);
        if (rule->from)
                put_address(batch, FRA_SRC, rule->from);
        if (rule->to)
                put_address(batch, FRA_DST, rule->to);
}

void rule_add(NetlinkBatch *batch, int family, const PacketRule *rule) {
        put_rule(batch, RTM_NEWRULE, NEW, family, rule);
}

void rule_remove(NetlinkBatch *batch, int family, const PacketRule *rule) {
        put_rule(batch, RTM_DELRULE, 0, family, rule);
}

static void take_index(unsigned attribute, const void *data, size_t size, void *userdata) {
        if (attribute == RTA_OIF && size == sizeof(uint32_t))
                memcpy(userdata, data, size);
}

int route_lookup(NetlinkSocket *socket, const IpNetwork *address, RouteAnswer *ret) {
        const struct rtmsg request = {
                .rtm_family = (uint8_t) address->family,
                .rtm_dst_len = (uint8_t) (8 * address_bytes(address->family)),
                .rtm_flags = RTM_F_FIB_MATCH,
        };
        NetlinkBatch batch = { 0 };
        struct rtmsg header;
        uint32_t index = 0;

        netlink_begin(&batch, RTM_GETROUTE, 0, &request, sizeof(request), "ask for a route");
        put_address(&batch, RTA_DST, address);
        int r = netlink_ask(socket, &batch, sizeof(header), &header, take_index, &index);
        /* The errors of connect(2): there is no route, or one that refuses. */
        if (r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES || r == -EINVAL) {
                *ret = (RouteAnswer){ .type = RTN_UNREACHABLE };
                return 0;
        }
        if (r < 0)
                return r;
        *ret = (RouteAnswer){ .type = header.rtm_type, .prefix = header.rtm_dst_len, .index = (int) index };
        return 0;
}
