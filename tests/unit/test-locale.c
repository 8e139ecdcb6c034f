/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/locale.h"
#include "base/string.h"

/* What localedef(1) writes: a head of 32-bit numbers, of which the 6th and 7th say where the names are. */
#define ARCHIVE(names)     \
        "\x09\x01\x02\xde" \
        "................" \
        "\x38\0\0\0"       \
        "\x10\0\0\0"       \
        "............................" names

static void test_locale(void **state) {
        static const struct {
                const char *directory, *file; /* below usr/lib/locale */
                const char *archive;          /* 16 bytes of names */
                const char *expected;
        } table[] = {
                { NULL, NULL, NULL, "C" },
                { "C.utf8", NULL, NULL, "C.UTF-8" },
                { "C.UTF-8", NULL, NULL, "C.UTF-8" },
                { "en_US.utf8", NULL, NULL, "en_US.UTF-8" },
                { "de_DE.utf8", NULL, NULL, "C" },
                { NULL, "C.utf8", NULL, "C" },
                { NULL, NULL, ARCHIVE("de_DE.utf8\0C.utf8"), "C" }, /* cut off */
                { NULL, NULL, ARCHIVE("de_DE\0C.utf8\0..."), "C.UTF-8" },
                { NULL, NULL, ARCHIVE("XC.utf8\0........"), "C" },
                { NULL, NULL, ARCHIVE("en_US.utf8\0de_DE"), "en_US.UTF-8" },
                { NULL, NULL, "something else, and longer than a head or the names of locales \0C.utf8\0", "C" },
        };
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_int_equal(mkdirat(dir_fd, "root", 0755), 0);
                _cleanup_close_ int root_fd = openat(dir_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_int_equal(mkdirat(root_fd, "usr", 0755), 0);
                assert_int_equal(mkdirat(root_fd, "usr/lib", 0755), 0);
                assert_int_equal(mkdirat(root_fd, "usr/lib/locale", 0755), 0);
                _cleanup_close_ int locale_fd = openat(root_fd, "usr/lib/locale", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (table[i].directory)
                        assert_int_equal(mkdirat(locale_fd, table[i].directory, 0755), 0);
                if (table[i].file)
                        assert_int_equal(mkfifoat(locale_fd, table[i].file, 0644), 0);
                if (table[i].archive)
                        assert_int_equal(file_replace_at(locale_fd, "locale-archive", table[i].archive, 56 + 16, 0644),
                                         0);
                assert_row(streq(locale_of_tree(root_fd), table[i].expected), i, table[i].expected);
                assert_int_equal(remove_tree_at(dir_fd, "root"), 0);
        }
}

/* A libc that has no files for locales has UTF-8 built in; one that has lost them all has not. Nobody waits at a pipe. */
static void test_no_locales(void **state) {
        _cleanup_close_ int root_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_string_equal(locale_of_tree(root_fd), "C.UTF-8");
        assert_int_equal(mkdirat(root_fd, "etc", 0755), 0);
        _cleanup_close_ int etc_fd = openat(root_fd, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(file_replace_at(etc_fd, "ld.so.cache", "", 0, 0644), 0);
        assert_string_equal(locale_of_tree(root_fd), "C");
        assert_int_equal(mkdirat(root_fd, "usr", 0755), 0);
        assert_int_equal(mkdirat(root_fd, "usr/lib", 0755), 0);
        assert_int_equal(mkdirat(root_fd, "usr/lib/locale", 0755), 0);
        assert_int_equal(mkfifoat(root_fd, "usr/lib/locale/locale-archive", 0644), 0);
        assert_string_equal(locale_of_tree(root_fd), "C");
        assert_int_equal(remove_tree_at(root_fd, "etc"), 0);
        assert_int_equal(remove_tree_at(root_fd, "usr"), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_locale, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_locales, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
