/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the rules that say what jobs with a private network may reach: for the check of the setting, and for
 * network/egress.c, which carries them out. It must look only at the text. */

#include "config/egress-rule.h"

#include <string.h>

#include "base/string.h"

#define BLANKS " \t"
#define WORDS_MAX 4

static int parse_protocol(const char *word, EgressRule *rule) {
        static const struct {
                const char *name;
                int number;
        } protocols[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "icmp", IPPROTO_ICMP } };

        for (size_t i = 0; i < ELEMENTSOF(protocols); i++)
                if (streq(word, protocols[i].name)) {
                        rule->protocol = protocols[i].number;
                        return 0;
                }
        return -EINVAL;
}

static int parse_port(const char *text, uint16_t *ret) {
        uint64_t number;

        if (parse_uint64(text, &number) < 0 || number == 0 || number > UINT16_MAX)
                return -EINVAL;
        *ret = (uint16_t) number;
        return 0;
}

/* Parses one item: a port, or the first and the last of a range. */
static int parse_range(char *item, PortRange *ret) {
        char *dash = strchr(item, '-');

        if (dash)
                *dash = 0;
        int r = parse_port(item, &ret->first);
        if (r < 0)
                return r;
        ret->last = ret->first;
        if (dash)
                r = parse_port(dash + 1, &ret->last);
        return r < 0 || ret->last < ret->first ? -EINVAL : 0;
}

static int parse_ports(char *word, EgressRule *rule) {
        if (rule->protocol == IPPROTO_ICMP)
                return -EINVAL;
        for (char *next = word; next;) {
                char *item = strsep(&next, ",");

                if (rule->n_ports == EGRESS_PORTS_MAX || parse_range(item, rule->ports + rule->n_ports) < 0)
                        return -EINVAL;
                rule->n_ports++;
        }
        return 0;
}

int egress_rule_parse(const char *text, EgressRule *ret) {
        _cleanup_free_ char *copy = strdup(text);
        EgressRule rule = { 0 };
        char *words[WORDS_MAX], *state = NULL;
        size_t n = 0;

        if (!copy)
                return -EINVAL;
        for (char *word = strtok_r(copy, BLANKS, &state); word; word = strtok_r(NULL, BLANKS, &state)) {
                if (n == WORDS_MAX)
                        return -EINVAL;
                words[n++] = word;
        }
        if (n < 2 || (!streq(words[0], "allow") && !streq(words[0], "deny")))
                return -EINVAL;
        rule.allow = streq(words[0], "allow");
        if (!streq(words[1], "any") && ip_network_parse(words[1], &rule.network) < 0)
                return -EINVAL;
        if (n > 2 && parse_protocol(words[2], &rule) < 0)
                return -EINVAL;
        if (n > 3 && parse_ports(words[3], &rule) < 0)
                return -EINVAL;
        *ret = rule;
        return 0;
}
