/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "machine/part.h"

static void test_places(_unused_ void **state) {
        static const struct {
                const char *directory;
                const char *moved; /* the prefix that the tree has now */
        } table[] = {
                { "/usr/bin", "/usr" },
                { "/usr/" BINDIR_IN_PREFIX, "/usr" },
                { "/opt/a b/" BINDIR_IN_PREFIX, "/opt/a b" },
                { "/" BINDIR_IN_PREFIX, "" },
                { "/home/me/build", NULL },
                { "/opt/x" BINDIR_IN_PREFIX, NULL }, /* only a name that ends so */
                { BINDIR_IN_PREFIX, NULL },
                { "/", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_part_places_ PartPlaces places = { 0 };
                _cleanup_free_ char *beside = NULL, *moved = NULL;

                assert_int_equal(part_places(table[i].directory, "part", &places), 0);
                assert_int_equal(string_printf(&beside, "%s/part", table[i].directory), 0);
                assert_string_equal(places.beside, beside);
                assert_string_equal(places.installed, LIBEXECDIR "/part");
                assert_row(!places.moved == !table[i].moved, i, places.moved);
                if (!table[i].moved)
                        continue;
                assert_int_equal(string_printf(&moved, "%s/" LIBEXECDIR_IN_PREFIX "/part", table[i].moved), 0);
                assert_string_equal(places.moved, moved);
        }
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_places) };
UNIT_FILE(tests);
