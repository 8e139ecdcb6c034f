/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Turns the administrator's rules about what jobs may reach into rules of nftables. segment.c loads them into a hub,
 * which jobs cannot reach. Every part of the text must come from parsed numbers, none from the rule as it was
 * written. */

#include "network/egress.h"

#include <stdio.h>

#include "config/egress-rule.h"
#include "network/closed.h"
#include "network/hub.h"

#define REFUSE "reject with icmpx type admin-prohibited"

static void print_ports(FILE *out, const EgressRule *rule) {
        fprintf(out, " %s dport {", rule->protocol == IPPROTO_TCP ? "tcp" : "udp");
        for (size_t i = 0; i < rule->n_ports; i++) {
                fprintf(out, "%s %u", i > 0 ? "," : "", rule->ports[i].first);
                if (rule->ports[i].last > rule->ports[i].first)
                        fprintf(out, "-%u", rule->ports[i].last);
        }
        fputs(" }", out);
}

/* What is behind the network in a rule. */
static void print_rest(FILE *out, const EgressRule *rule) {
        if (rule->n_ports > 0)
                print_ports(out, rule);
        else if (rule->protocol == IPPROTO_ICMP)
                fputs(" meta l4proto { icmp, icmpv6 }", out);
        else if (rule->protocol)
                fprintf(out, " meta l4proto %s", rule->protocol == IPPROTO_TCP ? "tcp" : "udp");
        fprintf(out, " %s\n", rule->allow ? "accept" : REFUSE);
}

static const char *address_of(int family) {
        return family == AF_INET ? "ip daddr" : "ip6 daddr";
}

static void print_network(FILE *out, const IpNetwork *network) {
        char text[IP_NETWORK_TEXT_MAX];

        if (network->family != AF_UNSPEC && network->prefix > 0)
                fprintf(out, "%s %s", address_of(network->family), ip_network_format(network, text));
        else if (network->family != AF_UNSPEC)
                fprintf(out, "meta nfproto %s", network->family == AF_INET ? "ipv4" : "ipv6");
}

/* Takes the closed networks in a network that is larger out of it. */
static void print_except_closed(FILE *out, const IpNetwork *network) {
        char text[IP_NETWORK_TEXT_MAX];
        bool found = false;

        for (size_t i = 0; i < CLOSED_NETWORKS; i++) {
                const IpNetwork *closed = closed_networks + i;

                if (!ip_network_contains(network, closed) || ip_network_contains(closed, network))
                        continue;
                if (!found)
                        fprintf(out, " %s != { ", address_of(network->family));
                fprintf(out, "%s%s", found ? ", " : "", ip_network_format(closed, text));
                found = true;
        }
        if (found)
                fputs(" }", out);
}

static void print_allow(FILE *out, const EgressRule *rule, const IpNetwork *network) {
        fputs("    ", out);
        print_network(out, network);
        print_except_closed(out, network);
        print_rest(out, rule);
}

static void print_rule(FILE *out, const EgressRule *rule) {
        static const IpNetwork all[] = { { .family = AF_INET }, { .family = AF_INET6 } };

        if (!rule->allow) {
                fputs("    ", out);
                print_network(out, &rule->network);
                print_rest(out, rule);
        } else if (rule->network.family != AF_UNSPEC) {
                print_allow(out, rule, &rule->network);
        } else {
                for (size_t i = 0; i < ELEMENTSOF(all); i++)
                        print_allow(out, rule, all + i);
        }
}

bool egress_opens(char *const *rules, const IpNetwork *closed) {
        EgressRule rule;

        for (; rules && *rules; rules++)
                if (egress_rule_parse(*rules, &rule) >= 0 && rule.allow && ip_network_contains(closed, &rule.network))
                        return true;
        return false;
}

/* For what no rule has matched. */
static void print_closed(FILE *out) {
        for (size_t i = 0; i < CLOSED_NETWORKS; i++) {
                fputs("    ", out);
                print_network(out, closed_networks + i);
                fputs(" " REFUSE "\n", out);
        }
}

int egress_format(char *const *rules, char **ret) {
        _cleanup_free_ char *text = NULL;
        EgressRule rule;
        size_t size;

        for (char *const *text_of_rule = rules; text_of_rule && *text_of_rule; text_of_rule++) {
                int r = egress_rule_parse(*text_of_rule, &rule);
                if (r < 0)
                        return r;
        }
        FILE *out = open_memstream(&text, &size);
        if (!out)
                return -ENOMEM;
        /* Connections are tracked, so that fragments are put together before a rule looks for a port in them. */
        fputs("table inet nspawn-runner-egress {\n"
              "  chain forward {\n"
              "    type filter hook forward priority 0; policy accept;\n"
              "    iifname != \"" HUB_BRIDGE "\" accept\n"
              "    ct state established,related accept\n",
              out);
        for (; rules && *rules; rules++)
                if (egress_rule_parse(*rules, &rule) >= 0)
                        print_rule(out, &rule);
        print_closed(out);
        fputs("  }\n"
              "}\n",
              out);
        if (fclose(out) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
