/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/curl-config.h"
#include "base/string.h"

/* A URL stays one string, whatever it has. */
static void test_url(_unused_ void **state) {
        static const struct {
                const char *url, *config;
        } rows[] = {
                { "https://user:secret@host/a?b=c", "url = \"https://user:secret@host/a?b=c\"\n" },
                { "", "url = \"\"\n" },
                { "http://host/\"\noutput = \"/etc/passwd", "url = \"http://host/\\\"\\noutput = \\\"/etc/passwd\"\n" },
                { "http://host/\\", "url = \"http://host/\\\\\"\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *config = NULL;

                assert_int_equal(curl_config_url(rows[i].url, &config), 0);
                assert_row(streq(config, rows[i].config), i, rows[i].url);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url),
};
UNIT_FILE(tests);
