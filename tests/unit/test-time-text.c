/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <time.h>

#include "terminal/time-text.h"

static void test_time(_unused_ void **state) {
        const uint64_t usec = 1700000000 * USEC_PER_SEC + 999999;
        char text[TIME_TEXT_BYTES];

        assert_int_equal(setenv("TZ", "XYZ-2", true), 0); /* two hours before UTC */
        tzset();
        assert_string_equal(time_text(usec, true, text), "2023-11-14T22:13:20Z");
        assert_string_equal(time_text(usec, false, text), "2023-11-15 00:13:20");
        assert_int_equal(unsetenv("TZ"), 0);
        tzset();
}

static void test_duration(_unused_ void **state) {
        static const struct {
                uint64_t sec;
                const char *text;
        } table[] = {
                { 0, "0s" },
                { 59, "59s" },
                { 60, "1m" },
                { 3599, "59m" },
                { 3600, "1h 0m" },
                { 3600 * 47 + 60, "47h 1m" },
                { 3600 * 48, "2d 0h" },
                { 86400 * 400, "400d 0h" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char text[TIME_TEXT_BYTES];

                assert_string_equal(duration_text(table[i].sec * USEC_PER_SEC, text), table[i].text);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_duration),
};
UNIT_FILE(tests);
