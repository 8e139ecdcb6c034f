/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/string.h"
#include "tree/check.h"

/* What of tree/check.c needs root: devices, and mounts in a mount namespace of the test's own. */

static const char *const places[] = { "dev", "etc", "proc", "run", "sys", "tmp", "usr", "var" };

static int make_tree(void **state) {
        int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                assert_int_equal(mkdirat(fd, places[i], 0755), 0);
        return fd;
}

static void test_devices(void **state) {
        static const mode_t modes[] = { S_IFCHR | 0666, S_IFBLK | 0666 };
        _cleanup_close_ int fd = make_tree(state);

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                for (size_t k = 0; k < ELEMENTSOF(modes); k++) {
                        Problem problem = { 0 }, problem_of_root = { 0 };

                        assert_int_equal(remove_tree_at(fd, places[i]), 0);
                        assert_int_equal(mknodat(fd, places[i], modes[k], makedev(1, 3)), 0);
                        assert_row(tree_check(fd, NULL, &problem) == TREE_REFUSED, k, places[i]);
                        assert_row(tree_check_root(fd, NULL, &problem_of_root) == TREE_REFUSED, k, places[i]);
                        assert_non_null(strstr(problem.text, "is a device and has to be a directory"));
                        assert_string_equal(problem.text, problem_of_root.text);
                }
                assert_int_equal(remove_tree_at(fd, places[i]), 0);
                assert_int_equal(mkdirat(fd, places[i], 0755), 0);
        }
}

/* An administrator may have mounted something in an image, which no container sees; in a container's root it would be
 * taken for systemd-nspawn's own. */
static void test_mounts(void **state) {
        static const char *const sources[] = { "tmpfs", "bind", "bind of itself" };
        _cleanup_close_ int fd = make_tree(state);

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                for (size_t k = 0; k < ELEMENTSOF(sources); k++) {
                        _cleanup_free_ char *path = NULL, *expected = NULL;
                        Problem problem = { 0 };

                        assert_int_equal(string_printf(&path, "%s/%s", (char *) *state, places[i]), 0);
                        int r = k == 0 ? mount("tmpfs", path, "tmpfs", 0, NULL) :
                                         mount(k == 1 ? "/" : path, path, "", MS_BIND, NULL);
                        assert_int_equal(r, 0);
                        assert_row(tree_check(fd, NULL, &problem) == 0, k, places[i]);
                        assert_row(tree_check_root(fd, NULL, &problem) == TREE_REFUSED, k, places[i]);
                        assert_int_equal(string_printf(&expected, "its /%s is a mount point", places[i]), 0);
                        assert_string_equal(problem.text, expected);
                        assert_int_equal(umount2(path, MNT_DETACH), 0);
                }
}

/* "->TARGET" is a symlink to it. */
static const struct {
        const char *what;
        bool stays;
} machine_ids[] = {
        { "nothing", true }, { "file", true },          { "->file", false }, { "->../outside", false },
        { "->/x", false },   { "->machine-id", false }, { "fifo", false },   { "socket", false },
        { "device", false }, { "directory", false },
};

static void put_machine_id(int etc_fd, const char *what) {
        const char *name = "machine-id";

        assert_int_equal(remove_tree_at(etc_fd, name), 0);
        if (streq(what, "nothing"))
                return;
        if (startswith(what, "->"))
                assert_int_equal(symlinkat(what + 2, etc_fd, name), 0);
        else if (streq(what, "fifo"))
                assert_int_equal(mkfifoat(etc_fd, name, 0644), 0);
        else if (streq(what, "socket"))
                assert_int_equal(mknodat(etc_fd, name, S_IFSOCK | 0644, 0), 0);
        else if (streq(what, "device"))
                assert_int_equal(mknodat(etc_fd, name, S_IFCHR | 0644, makedev(1, 3)), 0);
        else if (streq(what, "directory")) {
                assert_int_equal(mkdirat(etc_fd, name, 0755), 0);
                assert_int_equal(mkdirat(etc_fd, "machine-id/sub", 0755), 0);
        } else
                assert_int_equal(file_replace_at(etc_fd, name, "0123\n", 5, 0444), 0);
}

static void test_machine_id(void **state) {
        _cleanup_close_ int fd = make_tree(state);
        _cleanup_close_ int etc_fd = open_directory_at(fd, "etc", false, 0);

        assert_int_equal(file_replace_at(etc_fd, "file", "1\n", 2, 0644), 0);
        assert_int_equal(file_replace_at(fd, "outside", "2\n", 2, 0644), 0);
        for (size_t i = 0; i < ELEMENTSOF(machine_ids); i++) {
                const char *what = machine_ids[i].what;
                Problem problem = { 0 };

                put_machine_id(etc_fd, what);
                bool there = exists_at(etc_fd, "machine-id");
                assert_row(tree_check(fd, NULL, &problem) == 0, i, what);
                assert_row(exists_at(etc_fd, "machine-id") == there, i, what);
                assert_row(tree_check_root(fd, NULL, &problem) == 0, i, what);
                assert_row(exists_at(etc_fd, "machine-id") == (there && machine_ids[i].stays), i, what);
                assert_row(tree_remove_machine_id(fd) == 0, i, what);
                assert_row(!exists_at(etc_fd, "machine-id"), i, what);
                assert_row(exists_at(etc_fd, "file") && exists_at(fd, "outside"), i, what);
                assert_string_equal(problem.text, "");
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_devices, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_mounts, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_machine_id, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .lacks = lacks_mount_namespace);
