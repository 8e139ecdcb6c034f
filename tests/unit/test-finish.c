/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/resource.h>

#include "base/fd.h"
#include "base/string.h"
#include "files.h"
#include "tree/finish.h"

/* What the tree lacks gets there, unless it has it. */
static void test_keyring(void **state) {
        _cleanup_free_ char *keyring = NULL, *data = NULL;
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_int_equal(string_printf(&keyring, "%s/keyring", (char *) *state), 0);
        make_file(dir_fd, "keyring", "keys", 0600);
        _cleanup_close_ int tree_fd = open_directory_at(dir_fd, "tree", true, 0755);
        assert_true(tree_fd >= 0);

        assert_int_equal(finish_keyring(tree_fd, keyring), 0);
        assert_int_equal(file_read_in_root(tree_fd, keyring, 100, &data, NULL), 0);
        assert_string_equal(data, "keys");
        assert_int_equal(unlinkat(dir_fd, "keyring", 0), 0);
        assert_int_equal(finish_keyring(tree_fd, keyring), 0);
        assert_int_equal(finish_keyring(tree_fd, "/nonexistent"), -ENOENT);
}

/* The error says what was wrong. */
static void test_no_descriptor(void **state) {
        _cleanup_free_ char *keyring = NULL;
        _cleanup_close_ int dir_fd = open_directory(state);
        struct rlimit before;

        assert_int_equal(string_printf(&keyring, "%s/keyring", (char *) *state), 0);
        make_file(dir_fd, "keyring", "keys", 0600);
        _cleanup_close_ int tree_fd = open_directory_at(dir_fd, "tree", true, 0755);
        assert_true(tree_fd >= 0);
        int lowest = dup(tree_fd);
        assert_true(lowest > tree_fd);
        close(lowest);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        for (int left = 0; left < 2; left++) {
                assert_int_equal(
                        setrlimit(RLIMIT_NOFILE, &(struct rlimit){ (rlim_t) (lowest + left), before.rlim_max }), 0);
                int r = finish_keyring(tree_fd, keyring);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
                assert_int_equal(r, -EMFILE);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keyring, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_descriptor, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
