/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/ip-network.h"

#define EGRESS_PORTS_MAX 16

typedef struct PortRange {
        uint16_t first, last;
} PortRange;

/* An item of the setting `egress`: ACTION NETWORK [PROTOCOL [PORTS]], as in "deny 10.0.0.0/8" or "allow any tcp
 * 80,8000-8010". */
typedef struct EgressRule {
        bool allow;
        IpNetwork network; /* its family is AF_UNSPEC for "any" */
        int protocol;      /* IPPROTO_TCP, IPPROTO_UDP or IPPROTO_ICMP (ICMP of both families); 0: any */
        PortRange ports[EGRESS_PORTS_MAX];
        size_t n_ports; /* 0: all */
} EgressRule;

/* Parses a rule. 0, or -EINVAL: @text is no rule. */
int egress_rule_parse(const char *text, EgressRule *ret);
