/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Turns the administrator's rules about what jobs may reach into rules of nftables. segment.c loads them into a hub,
 * which jobs cannot reach. Every part of the text must come from parsed numbers, none from the rule as it was
 * written. */

#include "network/egress.h"

#include <stdio.h>

#include "config/egress-rule.h"
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

static void print_rule(FILE *out, const EgressRule *rule) {
        char network[IP_NETWORK_TEXT_MAX];

        fputs("    ", out);
        if (rule->network.family != AF_UNSPEC && rule->network.prefix > 0)
                fprintf(out, "%s daddr %s", rule->network.family == AF_INET ? "ip" : "ip6",
                        ip_network_format(&rule->network, network));
        else if (rule->network.family != AF_UNSPEC)
                fprintf(out, "meta nfproto %s", rule->network.family == AF_INET ? "ipv4" : "ipv6");
        if (rule->n_ports > 0)
                print_ports(out, rule);
        else if (rule->protocol == IPPROTO_ICMP)
                fputs(" meta l4proto { icmp, icmpv6 }", out);
        else if (rule->protocol)
                fprintf(out, " meta l4proto %s", rule->protocol == IPPROTO_TCP ? "tcp" : "udp");
        fprintf(out, " %s\n", rule->allow ? "accept" : REFUSE);
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
        fputs("    ip daddr 169.254.0.0/16 " REFUSE "\n"
              "    ip6 daddr fe80::/10 " REFUSE "\n"
              "  }\n"
              "}\n",
              out);
        if (fclose(out) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
