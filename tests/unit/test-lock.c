/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"

static void test_try(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_close_ int first = open_directory_at(dir_fd, "d", true, 0700);
        _cleanup_close_ int second = open_directory_at(dir_fd, "d", false, 0);

        assert_int_equal(lock_try(first, LOCK_SH), 0);
        assert_int_equal(lock_try(second, LOCK_SH), 0);
        assert_int_equal(lock_try(second, LOCK_EX), -EBUSY);
        assert_int_equal(lock_wait(second, LOCK_EX, 1), -EBUSY);
        assert_int_equal(lock_try(first, LOCK_UN), 0);
        assert_int_equal(lock_wait(second, LOCK_EX, USEC_INFINITY), 0);
        assert_int_equal(lock_try(-EBADF, LOCK_EX), -EBADF);
}

/* A file counts by what it is, not by its name: it may have been renamed, and another may have its name. */
static void test_is_at(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_close_ int fd = open_directory_at(dir_fd, "d", true, 0700);

        assert_int_equal(file_is_at(fd, dir_fd, "d"), 1);
        assert_int_equal(renameat(dir_fd, "d", dir_fd, "trash"), 0);
        assert_int_equal(file_is_at(fd, dir_fd, "d"), 0);
        assert_int_equal(file_is_at(fd, dir_fd, "trash"), 1);
        assert_int_equal(mkdirat(dir_fd, "d", 0700), 0);
        assert_int_equal(file_is_at(fd, dir_fd, "d"), 0);
        assert_int_equal(unlinkat(dir_fd, "d", AT_REMOVEDIR), 0);
        assert_int_equal(symlinkat("trash", dir_fd, "d"), 0);
        assert_int_equal(file_is_at(fd, dir_fd, "d"), 0);
        assert_int_equal(file_is_at(fd, fd, "."), 1);
        assert_int_equal(file_is_at(-EBADF, dir_fd, "d"), -EBADF);
}

static void test_directory(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_int_equal(directory_lock(dir_fd, "d", false, LOCK_EX, 0), -ENOENT);
        _cleanup_close_ int fd = directory_lock(dir_fd, "d", true, LOCK_EX, 0);
        assert_true(fd >= 0);
        assert_int_equal(directory_lock(dir_fd, "d", true, LOCK_SH, 1), -EBUSY);
        assert_int_equal(directory_lock_now(dir_fd, "d", false, LOCK_SH), -EBUSY);
        assert_int_equal(symlinkat("d", dir_fd, "link"), 0);
        assert_int_equal(directory_lock(dir_fd, "link", false, LOCK_SH, 0), -ENOTDIR);
}

/* Where nothing can be made any more, this ends. */
static void test_directory_in_a_removed_one(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_close_ int fd = open_directory_at(dir_fd, "d", true, 0700);

        assert_int_equal(unlinkat(dir_fd, "d", AT_REMOVEDIR), 0);
        assert_int_equal(directory_lock(fd, "below", true, LOCK_EX, USEC_INFINITY), -ESTALE);
        assert_int_equal(directory_lock(fd, "below", false, LOCK_EX, USEC_INFINITY), -ENOENT);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_try, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_is_at, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_directory, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_directory_in_a_removed_one, setup_directory, teardown_directory),
};

UNIT_FILE(tests);
