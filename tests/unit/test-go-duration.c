/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "unit.h"

#include "local/go-duration.h"

static void test_go_duration(_unused_ void **state) {
        static const struct {
                const char *text;
                uint64_t usec; /* UINT64_MAX: it is none */
        } rows[] = {
                { "0", 0 },
                { "0s", 0 },
                { "40s", 40 * USEC_PER_SEC },
                { "+40s", 40 * USEC_PER_SEC },
                { "1h20m", 80 * 60 * USEC_PER_SEC },
                { "4h30m30s", (4 * 60 + 30) * 60 * USEC_PER_SEC + 30 * USEC_PER_SEC },
                { "500ms", 500 * USEC_PER_MSEC },
                { "1.5s", 1500 * USEC_PER_MSEC },
                { ".5s", 500 * USEC_PER_MSEC },
                { "7us", 7 },
                { "7µs", 7 },
                { "7000ns", 7 },
                { "", UINT64_MAX },
                { "+", UINT64_MAX },
                { "1200", UINT64_MAX },
                { "-1s", UINT64_MAX },
                { "1s ", UINT64_MAX },
                { " 1s", UINT64_MAX },
                { "1 s", UINT64_MAX },
                { "1d", UINT64_MAX },
                { "s", UINT64_MAX },
                { ".s", UINT64_MAX },
                { "1.2.3s", UINT64_MAX },
                { "1e3s", UINT64_MAX },
                { "0x1s", UINT64_MAX },
                { "1s5", UINT64_MAX },
                { "10 minutes", UINT64_MAX },
                { "99999999999h", UINT64_MAX },
                { "11111111111111111111111111111111111111s", UINT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t usec = UINT64_MAX;

                int r = go_duration_parse(rows[i].text, &usec);
                assert_row(r == (rows[i].usec == UINT64_MAX ? -EINVAL : 0), i, rows[i].text);
                assert_row(usec == rows[i].usec, i, rows[i].text);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_duration),
};
UNIT_FILE(tests);
