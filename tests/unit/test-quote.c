/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Words of scripts: in the form that GitLab Runner gives them, and read back by real shells. */

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/string.h"
#include "local/quote.h"

static const struct {
        const char *word, *bash, *posix;
} table[] = {
        { "", "''", "''" },
        { "a,-./09@AZ_z", "a,-./09@AZ_z", "a,-./09@AZ_z" },
        { "$ echo \"it's\" `x`", "$'$ echo \"it\\'s\" `x`'", "\"\\$ echo \\\"it's\\\" \\`x\\`\"" },
        { "\033[32;1m$ x\033[0;m", "$'\\x1b[32;1m$ x\\x1b[0;m'", "\"\033[32;1m\\$ x\033[0;m\"" },
        { "a\nb\tc\rd\\", "$'a\\nb\\tc\\rd\\\\'", "\"a\nb\tc\rd\\\\\"" },
        { "\u00e4\x7f\x01", "$'\\xc3\\xa4\\x7f\\x01'", "\"\u00e4\x7f\x01\"" },
        /* GitLab Runner leaves these without quotes for all shells. */
        { "a;b", "$'a;b'", "\"a;b\"" },
        { "~", "$'~'", "\"~\"" },
};

static void expect_read_back(const char *shell, const char *quoted, const char *word, size_t i) {
        _cleanup_free_ char *command = NULL;
        char read_back[64] = "";

        assert_true(string_printf(&command, "printf '%%s' %s", quoted) >= 0);
        char path[] = "/tmp/nspawn-runner-test-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, command, strlen(command)), (ssize_t) strlen(command));
        close(fd);
        _cleanup_free_ char *call = NULL;
        assert_true(string_printf(&call, "%s %s", shell, path) >= 0);
        FILE *file = popen(call, "re");
        assert_non_null(file);
        size_t n = fread(read_back, 1, sizeof(read_back) - 1, file);
        assert_int_equal(pclose(file), 0);
        unlink(path);
        read_back[n] = 0;
        assert_row(streq(read_back, word), i, shell);
}

static void test_quote(_unused_ void **state) {
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_arena_ Arena arena;
                arena_init(&arena, 1024 * 1024);
                Text bash = { .arena = &arena }, posix = { .arena = &arena };

                assert_int_equal(setjmp(arena.exhausted), 0);
                text_add_quoted(&bash, table[i].word, false);
                text_add_quoted(&posix, table[i].word, true);
                assert_string_equal(text_get(&bash), table[i].bash);
                assert_string_equal(text_get(&posix), table[i].posix);
                expect_read_back("bash", text_get(&bash), table[i].word, i);
                expect_read_back("sh", text_get(&posix), table[i].word, i);
        }
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_quote) };
UNIT_FILE(tests);
