/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "config/ip-network.h"
#include "network/block.h"

static void test_parse(_unused_ void **state) {
        static const struct {
                const char *text, *formatted; /* NULL: refused */
        } table[] = {
                { "10.1.0.0/16", "10.1.0.0/16" },
                { "0.0.0.0/0", "0.0.0.0/0" },
                { "192.168.1.7", "192.168.1.7/32" },
                { "192.168.1.7/32", "192.168.1.7/32" },
                { "fe80::/10", "fe80::/10" },
                { "::/0", "::/0" },
                { "2001:db8::1", "2001:db8::1/128" },
                { "10.1.0.0/15", NULL }, /* has a bit behind the prefix */
                { "fe80::1/10", NULL },
                { "10.1.0.0/33", NULL },
                { "::/129", NULL },
                { "10.1.0.0/", NULL },
                { "10.1.0.0/-1", NULL },
                { "10.1.0.0/1 6", NULL },
                { "10.1.0/24", NULL },
                { "10.1.0.256", NULL },
                { " 10.1.0.0/16", NULL },
                { "fe80::1%eth0", NULL },
                { "example.org", NULL },
                { "/16", NULL },
                { "", NULL },
                { "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char text[IP_NETWORK_TEXT_MAX];
                IpNetwork network = { .family = 77 };

                int r = ip_network_parse(table[i].text, &network);
                assert_row(r == (table[i].formatted ? 0 : -EINVAL), i, table[i].text);
                if (r < 0)
                        assert_row(network.family == 77, i, table[i].text);
                else
                        assert_row(streq(ip_network_format(&network, text), table[i].formatted), i, table[i].text);
        }
}

/* Blocks of a pool: one after the other, each with its own network of IPv6. */
static void test_blocks(_unused_ void **state) {
        static const struct {
                const char *pool;
                uint32_t count, i;
                const char *network, *job, *last;
        } table[] = {
                { "10.213.0.0/16", 1024, 0, "10.213.0.0/26", "10.213.0.2/32", "10.213.0.62/32" },
                { "10.213.0.0/16", 1024, 5, "10.213.1.64/26", "10.213.1.66/32", "10.213.1.126/32" },
                { "10.213.0.0/16", 1024, 1023, "10.213.255.192/26", "10.213.255.194/32", "10.213.255.254/32" },
                { "192.168.7.64/26", 1, 0, "192.168.7.64/26", "192.168.7.66/32", "192.168.7.126/32" },
                { "10.64.0.0/10", 65536, 65535, "10.127.255.192/26", "10.127.255.194/32", "10.127.255.254/32" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char text[IP_NETWORK_TEXT_MAX];
                AddressBlock block;
                IpNetwork pool;

                assert_int_equal(ip_network_parse(table[i].pool, &pool), 0);
                assert_int_equal(block_count(&pool), table[i].count);
                block_init(&block, &pool, table[i].i, "host");
                assert_string_equal(ip_network_format(&block.network, text), table[i].network);
                IpNetwork job = block_address(&block, AF_INET, BLOCK_JOB, true);
                assert_string_equal(ip_network_format(&job, text), table[i].job);
                IpNetwork last = block_address(&block, AF_INET, BLOCK_MACHINE_MAX, true);
                assert_string_equal(ip_network_format(&last, text), table[i].last);
        }
}

static void test_ipv6_of_block(_unused_ void **state) {
        char text[IP_NETWORK_TEXT_MAX], other[IP_NETWORK_TEXT_MAX];
        AddressBlock block;
        IpNetwork pool;

        assert_int_equal(ip_network_parse("10.213.0.0/16", &pool), 0);
        block_init(&block, &pool, 5, "host");
        IpNetwork job = block_address(&block, AF_INET6, BLOCK_JOB, false);
        (void) ip_network_format(&job, text);
        assert_true(startswith(text, "fd"));
        assert_string_equal(strchr(text, ':') + 5, ":ad5:140::2/64");
        block_init(&block, &pool, 5, "another host");
        job = block_address(&block, AF_INET6, BLOCK_JOB, false);
        assert_string_not_equal(ip_network_format(&job, other), text);
}

/* Each can hold blocks. */
static void test_default_pools(_unused_ void **state) {
        size_t n = 0;

        for (; block_default_pool(n); n++) {
                IpNetwork pool;

                assert_int_equal(ip_network_parse(block_default_pool(n), &pool), 0);
                assert_int_equal(block_count(&pool), 1024);
        }
        assert_int_equal(n, 3);
}

static void test_has(_unused_ void **state) {
        static const struct {
                const char *network, *address;
                bool has;
        } table[] = {
                { "10.1.2.64/26", "10.1.2.64", true },     { "10.1.2.64/26", "10.1.2.127", true },
                { "10.1.2.64/26", "10.1.2.63", false },    { "10.1.2.64/26", "10.1.2.128", false },
                { "10.1.2.3", "10.1.2.3", true },          { "10.1.2.3", "10.1.2.2", false },
                { "0.0.0.0/0", "255.255.255.255", true },  { "fd00:1::/64", "fd00:1::ffff:1", true },
                { "fd00:1::/64", "fd00:1:0:1::1", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                IpNetwork network, address;

                assert_int_equal(ip_network_parse(table[i].network, &network), 0);
                assert_int_equal(ip_network_parse(table[i].address, &address), 0);
                assert_row(ip_network_has(&network, address.address) == table[i].has, i, table[i].address);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),         cmocka_unit_test(test_blocks), cmocka_unit_test(test_ipv6_of_block),
        cmocka_unit_test(test_default_pools), cmocka_unit_test(test_has),
};
UNIT_FILE(tests);
