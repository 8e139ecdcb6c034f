/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/new-file.h"
#include "base/string.h"

/* Files without a name, or without one yet: on the file system of TMPDIR, and on one that cannot make such files. That of
 * message queues is such a one, and is in every kernel. It can neither rename nor link. */

static size_t count(const char *directory) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(directory_names(fd, &names), 0);
        return strv_length(names);
}

static int setup_queues(void **state) {
        return setup_directory(state) < 0 || mount("mqueue", *state, "mqueue", 0, NULL) < 0 ? -1 : 0;
}

static int teardown_queues(void **state) {
        return umount(*state) < 0 ? -1 : teardown_directory(state);
}

static void test_unnamed(void **state) {
        struct stat st;

        _cleanup_close_ int fd = file_open_unnamed(*state);
        assert_true(fd >= 0);
        assert_int_equal(count(*state), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_nlink, 0);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void test_queues_have_no_unnamed_files(void **state) {
        assert_int_equal(open(*state, O_TMPFILE | O_RDWR, 0600), -1);
        test_unnamed(state);
}

static void test_unnamed_fails(void **state) {
        _cleanup_free_ char *path = NULL;

        assert_true(asprintf(&path, "%s/no", (char *) *state) > 0);
        assert_int_equal(file_open_unnamed(path), -ENOENT);
        assert_int_equal(close(creat(path, 0600)), 0);
        assert_int_equal(file_open_unnamed(path), -ENOTDIR);
}

static void test_new_file(void **state) {
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (unsigned i = 0; i < 2; i++) {
                _cleanup_new_file_ NewFile file = NEW_FILE_NONE;
                _cleanup_free_ char *text = NULL;

                assert_int_equal(new_file_begin(dir_fd, 0600, &file), 0);
                assert_int_equal(count(*state), i);
                assert_int_equal(fd_write_all(file.fd, i == 0 ? "one" : "two", 3), 0);
                assert_int_equal(new_file_end(&file, "name"), i == 0 ? 0 : -EEXIST);
                new_file_done(&file);
                assert_int_equal(file_read_at(dir_fd, "name", 100, &text, NULL), 0);
                assert_string_equal(text, "one");
                assert_int_equal(count(*state), 1);
        }
}

/* A name for the time being goes, too, when the file cannot get the other one. */
static void test_new_file_with_a_name(void **state) {
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        NewFile file = NEW_FILE_NONE;

        assert_int_equal(new_file_begin(dir_fd, 0600, &file), 0);
        assert_int_equal(count(*state), 1);
        assert_true(new_file_end(&file, "name") < 0);
        new_file_done(&file);
        assert_int_equal(count(*state), 0);
}

static const char *lacks(void) {
        return unshare(CLONE_NEWIPC) < 0 ? "root, and a namespace for message queues" : lacks_mount_namespace();
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unnamed, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_unnamed_fails, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_new_file, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_queues_have_no_unnamed_files, setup_queues, teardown_queues),
        cmocka_unit_test_setup_teardown(test_new_file_with_a_name, setup_queues, teardown_queues),
};
UNIT_FILE(tests, .lacks = lacks);
