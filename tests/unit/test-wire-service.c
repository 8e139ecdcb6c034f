/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "wire/service.h"

static bool same(char *const *a, char *const *b) {
        for (; a && *a && b && *b; a++, b++)
                if (!streq(*a, *b))
                        return false;
        return (!a || !*a) && (!b || !*b);
}

static void test_round_trip(_unused_ void **state) {
        const WireService table[] = {
                { .argv = ARGV("a") },
                { .argv = ARGV("a", "", "b c\n"), .user = (char *) "u:g", .directory = (char *) "/d" },
                { .argv = ARGV("a"), .directories = ARGV("/x", "/y"), .environment = ARGV("A=", "B=1\n2", "C=\xff") },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_wire_service_ WireService service = { 0 };
                _cleanup_free_ char *data = NULL;
                size_t size;

                assert_int_equal(wire_format_service(&table[i], &data, &size), 0);
                assert_int_equal(wire_parse_service(data, size, &service), 0);
                assert_true(streq(service.user, table[i].user ? table[i].user : ""));
                assert_true(streq(service.directory, table[i].directory ? table[i].directory : ""));
                assert_true(same(service.argv, table[i].argv));
                assert_true(same(service.directories, table[i].directories));
                assert_true(same(service.environment, table[i].environment));

                /* no part of it is another one */
                for (size_t n = 0; n < size; n++) {
                        WireService part;
                        assert_int_equal(wire_parse_service(data, n, &part), -EBADMSG);
                }
        }
}

static void test_bad(_unused_ void **state) {
        static const struct {
                const char *data;
                size_t size;
        } table[] = {
#define DATA(text) { text, sizeof(text) - 1 }
                DATA(""),
                DATA("\0\0"
                     "0\0"
                     "0\0"
                     "0\0"), /* no program */
                DATA("\0\0"
                     "0\0"
                     "1\0a\0"
                     "0\0"
                     "x"),
                DATA("\0\0"
                     "0\0"
                     "1\0a\0"
                     "99999999999999999999\0"),
                DATA("\0\0"
                     "0\0"
                     "1\0a\0"
                     "9999999999\0"),
                DATA("\0\0"
                     "0\0"
                     "1\0a\0"
                     "-1\0"),
                DATA("\0\0"
                     "0\0"
                     "1\0a\0"
                     "2\0b\0"),
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                WireService service;
                assert_row(wire_parse_service(table[i].data, table[i].size, &service) == -EBADMSG, i, table[i].data);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad),
};
UNIT_FILE(tests);
