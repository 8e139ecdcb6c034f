/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "config/egress-rule.h"
#include "network/egress.h"

#define BEFORE                                                      \
        "table inet nspawn-runner-egress {\n"                       \
        "  chain forward {\n"                                       \
        "    type filter hook forward priority 0; policy accept;\n" \
        "    iifname != \"br0\" accept\n"                           \
        "    ct state established,related accept\n"
#define REFUSE "reject with icmpx type admin-prohibited\n"
#define AFTER                                                                             \
        "    ip daddr 169.254.0.0/16 " REFUSE "    ip6 daddr fe80::/10 " REFUSE           \
        "    ip daddr 168.63.129.16/32 " REFUSE "    ip daddr 100.100.100.200/32 " REFUSE \
        "    ip6 daddr fd00:ec2::254/128 " REFUSE "  }\n"                                 \
        "}\n"
#define CLOSED "ip daddr != { 169.254.0.0/16, 168.63.129.16/32, 100.100.100.200/32 }"
#define CLOSED6 "ip6 daddr != { fe80::/10, fd00:ec2::254/128 }"

static void test_rules(_unused_ void **state) {
        static const struct {
                const char *rule, *text; /* NULL: refused */
        } table[] = {
                { "deny 10.0.0.0/8", "    ip daddr 10.0.0.0/8 " REFUSE },
                { "allow 192.0.2.7", "    ip daddr 192.0.2.7/32 accept\n" },
                { "deny any", "     " REFUSE },
                { "deny 0.0.0.0/0", "    meta nfproto ipv4 " REFUSE },
                { "allow ::/0 udp", "    meta nfproto ipv6 " CLOSED6 " meta l4proto udp accept\n" },
                { "allow any", "    meta nfproto ipv4 " CLOSED " accept\n    meta nfproto ipv6 " CLOSED6 " accept\n" },
                { "allow 168.0.0.0/6",
                  "    ip daddr 168.0.0.0/6 ip daddr != { 169.254.0.0/16, 168.63.129.16/32 } accept\n" },
                { "allow fd00::/8 tcp",
                  "    ip6 daddr fd00::/8 ip6 daddr != { fd00:ec2::254/128 } meta l4proto tcp accept\n" },
                { "allow 169.254.0.0/16", "    ip daddr 169.254.0.0/16 accept\n" },
                { "allow 169.254.169.254 tcp 80", "    ip daddr 169.254.169.254/32 tcp dport { 80 } accept\n" },
                { "deny 169.254.0.0/15", "    ip daddr 169.254.0.0/15 " REFUSE },
                { "deny fd00::/8 icmp", "    ip6 daddr fd00::/8 meta l4proto { icmp, icmpv6 } " REFUSE },
                { "  allow \t any  tcp  443 ", "    meta nfproto ipv4 " CLOSED " tcp dport { 443 } accept\n"
                                               "    meta nfproto ipv6 " CLOSED6 " tcp dport { 443 } accept\n" },
                { "allow 10.1.0.0/16 udp 53,8000-8010",
                  "    ip daddr 10.1.0.0/16 udp dport { 53, 8000-8010 } accept\n" },
                { "deny any tcp 1-65535", "     tcp dport { 1-65535 } " REFUSE },
                { "deny any tcp 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
                  "     tcp dport { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } " REFUSE },
                { "deny any tcp 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL },
                { "deny", NULL },
                { "", NULL },
                { "drop any", NULL },
                { "Deny any", NULL },
                { "deny example.org", NULL },
                { "deny 10.0.0.1/8", NULL },
                { "deny any sctp", NULL },
                { "deny any icmp 8", NULL },
                { "deny any 80", NULL },
                { "deny any tcp 0", NULL },
                { "deny any tcp 65536", NULL },
                { "deny any tcp 80-", NULL },
                { "deny any tcp 90-80", NULL },
                { "deny any tcp 80,", NULL },
                { "deny any tcp http", NULL },
                { "deny any tcp 80 90", NULL },
                { "deny any; accept", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = NULL, *expected = NULL;
                EgressRule rule;

                assert_row(egress_rule_parse(table[i].rule, &rule) == (table[i].text ? 0 : -EINVAL), i, table[i].rule);
                assert_row(egress_format(ARGV(table[i].rule), &text) == (table[i].text ? 0 : -EINVAL), i,
                           table[i].rule);
                if (!table[i].text)
                        continue;
                assert_int_equal(string_printf(&expected, BEFORE "%s" AFTER, table[i].text), 0);
                assert_string_equal(text, expected);
        }
}

/* Only a rule that allows them by name opens closed networks. */
static void test_opens(_unused_ void **state) {
        static const struct {
                const char *rule, *closed;
                bool opens;
        } table[] = {
                { "allow any", "169.254.0.0/16", false },
                { "allow 0.0.0.0/0 tcp 80", "169.254.0.0/16", false },
                { "allow 169.254.0.0/15", "169.254.0.0/16", false },
                { "allow 169.254.0.0/16", "169.254.0.0/16", true },
                { "allow 169.254.169.254 tcp 80", "169.254.0.0/16", true },
                { "allow 169.254.169.254", "168.63.129.16", false },
                { "deny 169.254.169.254", "169.254.0.0/16", false },
                { "allow 168.63.129.16", "168.63.129.16", true },
                { "allow 168.63.129.0/24", "168.63.129.16", false },
                { "allow ::/0", "fd00:ec2::254", false },
                { "allow fd00:ec2::254", "fd00:ec2::254", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                IpNetwork closed;

                assert_int_equal(ip_network_parse(table[i].closed, &closed), 0);
                assert_row(egress_opens(ARGV("deny any udp", table[i].rule), &closed) == table[i].opens, i,
                           table[i].rule);
        }
        assert_false(egress_opens(NULL, &(IpNetwork){ .family = AF_INET }));
}

/* In their order, and closed networks after them. */
static void test_order(_unused_ void **state) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(egress_format(ARGV("allow 10.0.0.1", "deny 10.0.0.0/8"), &text), 0);
        assert_string_equal(text, BEFORE "    ip daddr 10.0.0.1/32 accept\n    ip daddr 10.0.0.0/8 " REFUSE AFTER);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_opens),
        cmocka_unit_test(test_order),
};
UNIT_FILE(tests);
