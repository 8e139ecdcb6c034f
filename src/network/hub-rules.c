/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The rules of routing in a job's hub: which packets it refuses, whatever the settings allow. Called while hub.c and
 * machine/segment.c set the hub up. No container may be plugged in before the rules are there. */

#include "network/hub-rules.h"

#include <sys/socket.h>

#include "network/closed.h"

#define LOOPBACK "lo" /* where packets of the hub's own kernel come from, in rules */

/* The rules in the order in which they count. */
enum { PRIORITY_OWN = 10, PRIORITY_SPOOFED, PRIORITY_JOBS, PRIORITY_CLOSED };

static const IpNetwork link_local6 = { AF_INET6, { 0xfe, 0x80 }, 10 };

void hub_rules_protect(NetlinkBatch *batch, const AddressBlock *block, bool ipv6) {
        const struct {
                int family;
                PacketRule rule;
        } rules[] = {
                { AF_INET, { PRIORITY_OWN, HUB_BRIDGE, .from = &block->network, .go_to = PRIORITY_JOBS } },
                { AF_INET, { PRIORITY_SPOOFED, HUB_BRIDGE } },
                { AF_INET6, { PRIORITY_OWN, HUB_BRIDGE, .from = &block->network6, .go_to = PRIORITY_JOBS } },
                { AF_INET6, { PRIORITY_SPOOFED, HUB_BRIDGE } },
                { AF_INET, { PRIORITY_JOBS, HUB_BRIDGE, .to = &block->pool } },
                { AF_INET6, { PRIORITY_JOBS, HUB_BRIDGE, .to = &block->pool6 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                if (rules[i].family == AF_INET || ipv6)
                        rule_add(batch, rules[i].family, &rules[i].rule);
        for (size_t i = 0; i < CLOSED_NETWORKS; i++) {
                const PacketRule rule = { PRIORITY_CLOSED, HUB_BRIDGE, .to = closed_networks + i };

                if (closed_networks[i].family == AF_INET || ipv6)
                        rule_add(batch, closed_networks[i].family, &rule);
        }
}

int hub_rules_open(NetlinkSocket *link, const IpNetwork *closed, Problem *reterr_problem) {
        const PacketRule rule = { PRIORITY_CLOSED, HUB_BRIDGE, .to = closed };
        NetlinkBatch batch = { 0 };
        const char *what;

        rule_remove(&batch, closed->family, &rule);
        int r = netlink_run(link, &batch, &what);
        return r < 0 ? problem_set(reterr_problem, r, "cannot %s: %m", what) : 0;
}

static int keep_silent(NetlinkSocket *link, int family, const IpNetwork *block, const char **reterr_what) {
        const PacketRule own = { PRIORITY_OWN, LOOPBACK, .to = block, .go_to = PRIORITY_JOBS },
                         neighbour = { PRIORITY_OWN, LOOPBACK, .to = &link_local6, .go_to = PRIORITY_JOBS },
                         others = { PRIORITY_SPOOFED, LOOPBACK };
        NetlinkBatch batch = { 0 };

        rule_add(&batch, family, &own);
        if (family == AF_INET6)
                rule_add(&batch, family, &neighbour);
        rule_add(&batch, family, &others);
        return netlink_run(link, &batch, reterr_what);
}

/* What containers send to the hub's own address is not looked at by rules, and may have a forged source. An answer, such
 * as to a ping, would bring what a job has written to wherever the job likes. */
int hub_rules_keep_silent(NetlinkSocket *link, const AddressBlock *block, bool ipv6, Problem *reterr_problem) {
        const char *what;

        int r = keep_silent(link, AF_INET, &block->network, &what);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot %s: %m", what);
        r = keep_silent(link, AF_INET6, &block->network6, &what);
        return r < 0 && ipv6 ? problem_set(reterr_problem, r, "cannot %s: %m", what) : 0;
}
