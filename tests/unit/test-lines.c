/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <string.h>

#include "base/lines.h"

typedef struct Seen {
        char text[4096];
        unsigned n;
} Seen;

static void see(void *userdata, const char *line) {
        Seen *seen = userdata;

        strncat(seen->text, line, sizeof(seen->text) - strlen(seen->text) - 1);
        strncat(seen->text, "|", sizeof(seen->text) - strlen(seen->text) - 1);
        seen->n++;
}

static void test_pieces(void **state _unused_) {
        Seen seen = { 0 };
        Lines lines = { .on_line = see, .userdata = &seen };

        lines_feed(&lines, "one\ntw", 6);
        assert_string_equal(seen.text, "one|");
        lines_feed(&lines, "o\r\n\n 50%\r100%\r", 14);
        lines_feed(&lines, "end", 3);
        assert_string_equal(seen.text, "one|two| 50%|100%|");
        lines_end(&lines);
        lines_end(&lines);
        assert_string_equal(seen.text, "one|two| 50%|100%|end|");
}

static void test_overlong(void **state _unused_) {
        Seen seen = { 0 };
        Lines lines = { .on_line = see, .userdata = &seen };

        for (unsigned i = 0; i < 2 * (LINE_BYTES_MAX - 1); i++)
                lines_feed(&lines, "x", 1);
        assert_int_equal(seen.n, 2);
        lines_feed(&lines, "y\n", 2);
        assert_int_equal(seen.n, 3);
        assert_int_equal(strlen(seen.text), 2 * LINE_BYTES_MAX + 2);
}

static void test_nobody(void **state _unused_) {
        Lines lines = { 0 };

        lines_feed(&lines, "a\nb", 3);
        lines_end(&lines);
        assert_int_equal(lines.length, 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_overlong),
        cmocka_unit_test(test_nobody),
};
UNIT_FILE(tests);
