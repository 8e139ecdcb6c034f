/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/busy.h"

/* Reads from the terminal until @text came. */
static void expect(int fd, const char *text) {
        char seen[4096] = "";
        size_t n = 0;

        while (!strstr(seen, text)) {
                ssize_t size = read(fd, seen + n, sizeof(seen) - n - 1);

                assert_true(size > 0);
                n += (size_t) size;
                seen[n] = 0;
        }
}

static void test_terminal(_unused_ void **state) {
        _cleanup_close_ int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
        _cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

        assert_true(saved >= 0 && master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        _cleanup_close_ int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(slave >= 0 && dup2(slave, STDERR_FILENO) == STDERR_FILENO);

        busy_begin("Working");
        expect(master, "] Working");
        /* A message takes the line off; then the line comes again. */
        log_notice("a message");
        expect(master, "\r\033[Ka message");
        expect(master, "] Working");
        busy_end();
        expect(master, "\r\033[K");
        busy_end(); /* nothing to end */

        /* With --quiet nothing begins. */
        log_set_level(LOG_LEVEL_WARNING);
        busy_begin("Nothing");
        busy_end();
        log_warning("next");
        expect(master, "next");
        log_set_level(LOG_LEVEL_NOTICE);
        assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminal),
};
UNIT_FILE(tests);
