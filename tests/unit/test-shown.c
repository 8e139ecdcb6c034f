/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "terminal/shown.h"

#define LONG 10000

/* What gets out after each of the writes and a flush. */
static void test_shown(_unused_ void **state) {
        static const struct {
                const char *writes[4];
                const char *shown;
        } table[] = {
                { { "text\nmore\n" }, "text\nmore\n" },
                { { "te", "xt", "\n" }, "text\n" },
                { { "no end" }, "no end" },
                { { "\033[31mred\033[0m and \033[1mbold\nplain\n" },
                  "\033[31mred\033[0m and \033[1mbold\033[0m\nplain\n" },
                { { "a\033]52;c;eA==\ab\n" }, "ab\n" },
                { { "a\033]52", ";c;eA==\ab\n" }, "ab\n" },
                { { "a\033", "[2Jb\n" }, "ab\n" },
                { { "\xc2", "\x9b"
                            "2J\n" },
                  "2J\n" },
                { { "\x9b"
                    "2J\b\x7f\n" },
                  "2J\n" },
                { { "10%\r20%\r\n" }, "20%\n" },
                { { "\033]0;without an end" }, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                int fds[2];
                Shown shown;
                char text[256] = "";

                assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
                shown_begin(&shown, fds[1]);
                assert_false(shown.terminal);
                shown.terminal = true;
                for (size_t k = 0; k < ELEMENTSOF(table[i].writes) && table[i].writes[k]; k++)
                        assert_int_equal(shown_write(&shown, table[i].writes[k], strlen(table[i].writes[k])), 0);
                assert_int_equal(shown_flush(&shown), 0);
                close(fds[1]);
                assert_true(read(fds[0], text, sizeof(text) - 1) >= 0);
                close(fds[0]);
                assert_row(streq(text, table[i].shown), i, text);
        }
}

/* A line of any length, with NULs in it; and what is no terminal gets all bytes. */
static void test_long(_unused_ void **state) {
        char data[LONG], text[2 * LONG];

        for (unsigned terminal = 0; terminal < 2; terminal++) {
                int fds[2];
                Shown shown;

                memset(data, 'x', sizeof(data));
                data[5000] = 0;
                data[6000] = '\033';
                assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
                shown_begin(&shown, fds[1]);
                shown.terminal = terminal;
                assert_int_equal(shown_write(&shown, data, sizeof(data)), 0);
                assert_int_equal(shown_flush(&shown), 0);
                /* the NUL, and ESC with the letter behind it */
                assert_int_equal(read(fds[0], text, sizeof(text)), terminal ? LONG - 3 : LONG);
                assert_true(terminal || memcmp(text, data, sizeof(data)) == 0);
                close(fds[0]);
                close(fds[1]);
        }
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_shown), cmocka_unit_test(test_long) };
UNIT_FILE(tests);
