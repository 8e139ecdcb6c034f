/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "source/sandbox.h"

static const char *lacks(void) {
        return geteuid() != 0 ? "root" : NULL;
}

typedef struct Seen {
        unsigned lines, checks, enough; /* 0: never enough */
} Seen;

static void on_line(void *userdata, _unused_ const char *line) {
        ((Seen *) userdata)->lines++;
}

static int on_check(void *userdata) {
        Seen *seen = userdata;

        seen->checks++;
        return seen->enough > 0 && seen->checks >= seen->enough ? -EDQUOT : 0;
}

static int run(const char *script, Seen *seen) {
        const Listener listener = { .on_line = on_line, .userdata = seen, .cancel_fd = -EBADF };
        const Sandbox sandbox = { .argv = ARGV("/bin/sh", "-c", script),
                                  .envp = ARGV("PATH=/usr/bin:/bin"),
                                  .on_check = on_check,
                                  .check_userdata = seen,
                                  .listener = &listener };

        return sandbox_run(&sandbox);
}

/* Somebody looks when the program begins and when it has ended; but what it writes does not make anybody look. */
static void test_checks(_unused_ void **state) {
        Seen seen = { 0 };

        assert_int_equal(run("exit 3", &seen), 3);
        assert_true(seen.checks >= 2);

        /* Each line is as long as what is read at once. */
        seen = (Seen){ 0 };
        assert_int_equal(run("i=0; while [ $i -lt 3000 ]; do printf '%4095d\\n' $i; i=$((i + 1)); done", &seen), 0);
        assert_true(seen.lines >= 3000);
        assert_true(seen.checks < 1000);
}

/* Nobody waits for what is too large. */
static void test_stopped(_unused_ void **state) {
        Seen seen = { .enough = 2 };

        assert_int_equal(run("exec sleep 1000", &seen), -EDQUOT);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_stopped),
};
UNIT_FILE(tests, .lacks = lacks);
