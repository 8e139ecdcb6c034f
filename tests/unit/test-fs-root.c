/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "tree/remove.h"

/* What of base/fs.c shows only to root: mounts in a tree that is removed, and flags that root of a container can set. Its
 * mounts are in a mount namespace of its own. */

/* Also a directory of the same file system: its files are not the tree's. */
static void test_remove_stops_at_mounts(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        char outside[4096], inside[4096];

        snprintf(outside, sizeof(outside), "%s/outside", (char *) *state);
        snprintf(inside, sizeof(inside), "%s/tree/sub/mounted", (char *) *state);
        assert_int_equal(mkdirat(dir_fd, "outside", 0700), 0);
        make_file(dir_fd, "outside/kept", "", 0600);
        assert_int_equal(mkdirat(dir_fd, "tree", 0700), 0);
        assert_int_equal(mkdirat(dir_fd, "tree/sub", 0700), 0);
        assert_int_equal(mkdirat(dir_fd, "tree/sub/mounted", 0700), 0);
        make_file(dir_fd, "tree/sub/file", "", 0600);
        assert_int_equal(mount(outside, inside, "none", MS_BIND, NULL), 0);

        assert_int_equal(remove_tree_at(dir_fd, "tree"), -EBUSY);
        assert_true(is_there(dir_fd, "outside/kept"));
        assert_false(is_there(dir_fd, "tree/sub/file")); /* what could be removed is */

        int top_fd = openat(dir_fd, "tree/sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(remove_tree_at(top_fd, "mounted"), -EXDEV);
        close(top_fd);
        assert_true(is_there(dir_fd, "outside/kept"));

        assert_int_equal(umount(inside), 0);
        assert_int_equal(remove_tree_at(dir_fd, "tree"), 0);
        assert_false(is_there(dir_fd, "tree"));
}

static void set_flags(int dir_fd, const char *name, int flags) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
}

static void test_remove_protected(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_int_equal(mkdirat(dir_fd, "tree", 0700), 0);
        assert_int_equal(mkdirat(dir_fd, "tree/sub", 0700), 0);
        assert_int_equal(mkdirat(dir_fd, "tree/sub/empty", 0700), 0);
        assert_int_equal(symlinkat("none", dir_fd, "tree/sub/link"), 0);
        assert_int_equal(mknodat(dir_fd, "tree/sub/device", S_IFCHR | 0600, makedev(1, 3)), 0);
        make_file(dir_fd, "tree/sub/immutable", "", 0600);
        make_file(dir_fd, "tree/sub/append-only", "", 0600);
        set_flags(dir_fd, "tree/sub/immutable", FS_IMMUTABLE_FL);
        set_flags(dir_fd, "tree/sub/append-only", FS_APPEND_FL);
        set_flags(dir_fd, "tree/sub/empty", FS_IMMUTABLE_FL);
        set_flags(dir_fd, "tree/sub", FS_APPEND_FL);
        set_flags(dir_fd, "tree", FS_IMMUTABLE_FL);
        assert_int_equal(remove_tree_at(dir_fd, "tree"), 0);
        assert_false(is_there(dir_fd, "tree"));
}

static void test_remove_deep_protected(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        int fd = open_directory_at(dir_fd, "deep", true, 0700);

        for (unsigned i = 0; i < 400; i++) {
                int child = open_directory_at(fd, "d", true, 0700);
                const int flags = FS_IMMUTABLE_FL;

                assert_true(child >= 0);
                assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
                close(fd);
                fd = child;
        }
        close(fd);
        assert_int_equal(remove_tree_at(dir_fd, "deep"), 0);
        assert_false(is_there(dir_fd, "deep"));
}

/* Files can be protected on ext4, xfs and btrfs, and with newer kernels on other file systems. */
static const char *lacks(void) {
        const char *parent = getenv("TMPDIR");
        _cleanup_close_ int fd = open(parent && *parent ? parent : "/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        int flags;

        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return "a file system with an immutable flag";
        return lacks_mount_namespace();
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_remove_stops_at_mounts, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove_protected, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove_deep_protected, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .lacks = lacks);
