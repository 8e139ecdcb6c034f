/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "machine/resolver.h"
#include "storage/storage.h"
#include "tree/skeleton.h"
#include "tree/subvolume.h"

static void test_table(void **state) {
        (void) state;
        for (size_t i = 0; storage_drivers[i]; i++) {
                const StorageDriver *driver = storage_drivers[i];

                assert_row(driver->name && driver->help && driver->suits && driver->create && driver->mount, i,
                           driver->name);
                assert_row(!streq(driver->name, "auto"), i, driver->name);
                assert_row(storage_find(driver->name) == driver, i, driver->name);
        }
        assert_null(storage_find("zfs"));
        assert_null(storage_find(""));
        assert_null(storage_find("auto"));

        /* What plans of machines name besides is nobody's choice. */
        assert_null(storage_find("tree"));
        assert_ptr_equal(storage_of_machine("tree"), &storage_tree);
        assert_ptr_equal(storage_of_machine("overlay"), &storage_overlay);
        assert_null(storage_of_machine("auto"));
        assert_null(storage_find("file"));
        assert_ptr_equal(storage_of_machine("file"), &storage_file);
        assert_ptr_equal(storage_of_machine("project"), &storage_project);
        assert_ptr_equal(storage_of_machine("quota"), &storage_quota);
}

/* Who gets another driver, so that a job cannot write more than it may. */
static void test_limited(void **state) {
        _cleanup_close_ int root_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(root_fd >= 0);
        for (size_t i = 0; storage_drivers[i]; i++)
                assert_ptr_equal(storage_limited(storage_drivers[i], UINT64_MAX, root_fd), storage_drivers[i]);
        const StorageDriver *other = storage_quota.suits(root_fd) ? &storage_quota : &storage_file;
        assert_ptr_equal(storage_limited(&storage_overlay, 1 << 30, root_fd),
                         storage_project.suits(root_fd) ? &storage_project : other);
        assert_ptr_equal(storage_limited(&storage_btrfs, 1 << 30, root_fd), other);
        assert_ptr_equal(storage_limited(&storage_tmpfs, 1 << 30, root_fd), &storage_tmpfs);
}

static void test_pick(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_ptr_equal(storage_pick("overlay", dir_fd), &storage_overlay);
        assert_ptr_equal(storage_pick("btrfs", dir_fd), &storage_btrfs);
        assert_ptr_equal(storage_pick("tmpfs", dir_fd), &storage_tmpfs);
        assert_null(storage_pick("nonsense", dir_fd));

        /* There is always one, it says that it suits, and none before it does. */
        const StorageDriver *picked = storage_pick("auto", dir_fd);
        assert_non_null(picked);
        assert_true(picked->suits(dir_fd));
        for (size_t i = 0; storage_drivers[i] != picked; i++)
                assert_false(storage_drivers[i]->suits(dir_fd));
        assert_int_equal(storage_btrfs.suits(dir_fd), btrfs_is(dir_fd) && btrfs_load_library() >= 0);
}

/* Neither /proc can hold changes, nor is it btrfs; a tmpfs above it is always possible. */
static void test_pick_proc(void **state) {
        _cleanup_close_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void) state;
        assert_true(proc_fd >= 0);
        assert_false(storage_btrfs.suits(proc_fd));
        assert_true(storage_tmpfs.suits(proc_fd));
        assert_false(btrfs_is_subvolume(proc_fd));
}

static void test_overlay_layer(void **state) {
        _cleanup_close_ int layer_fd = open_directory(state);
        struct stat st;

        assert_int_equal(storage_overlay.create(-EBADF, layer_fd), 0);
        assert_int_equal(fstatat(layer_fd, "upper", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISDIR(st.st_mode));
        assert_int_equal(st.st_mode & 0777, 0700);
        assert_int_equal(storage_overlay.create(-EBADF, layer_fd), -EEXIST);

        assert_int_equal(mkdirat(layer_fd, "upper/d", 0700), 0);
        make_file(layer_fd, "upper/d/f", "", 0600);
        assert_int_equal(symlinkat("/etc", layer_fd, "upper/etc"), 0);
        assert_int_equal(mkdirat(layer_fd, "work", 0700), 0);
        assert_int_equal(mkdirat(layer_fd, "work/work", 0000), 0);
        assert_int_equal(storage_overlay.remove(layer_fd, USEC_INFINITY), 0);
        assert_false(is_there(layer_fd, "upper") || is_there(layer_fd, "work"));
        assert_int_equal(access("/etc/passwd", F_OK), 0);
        assert_int_equal(storage_overlay.remove(layer_fd, USEC_INFINITY), 0);
}

/* The remains of each driver, and none, and all at once. */
static void test_remove_any(void **state) {
        static const char *const remains[] = { "upper", "work", "root", "disk", LAYER_VOLUMES };
        _cleanup_close_ int layer_fd = open_directory(state);

        for (unsigned which = 0; which < 1U << ELEMENTSOF(remains); which++) {
                for (size_t i = 0; i < ELEMENTSOF(remains); i++) {
                        _cleanup_free_ char *path = NULL;

                        if (!(which & 1U << i))
                                continue;
                        assert_int_equal(mkdirat(layer_fd, remains[i], 0700), 0);
                        assert_int_equal(string_printf(&path, "%s/file", remains[i]), 0);
                        make_file(layer_fd, path, "", 0600);
                }
                assert_int_equal(storage_remove_any(layer_fd, USEC_INFINITY), 0);
                for (size_t i = 0; i < ELEMENTSOF(remains); i++)
                        assert_row(!is_there(layer_fd, remains[i]), which, remains[i]);
        }
}

/* A layer's name that is something else than a directory is removed, not followed. */
static void test_remove_symlink(void **state) {
        _cleanup_close_ int layer_fd = open_directory(state);

        assert_int_equal(mkdirat(layer_fd, "precious", 0700), 0);
        make_file(layer_fd, "precious/file", "", 0600);
        assert_int_equal(symlinkat("precious", layer_fd, "root"), 0);
        assert_int_equal(symlinkat("precious", layer_fd, "upper"), 0);
        assert_int_equal(storage_remove_any(layer_fd, USEC_INFINITY), 0);
        assert_false(is_there(layer_fd, "root") || is_there(layer_fd, "upper"));
        assert_true(is_there(layer_fd, "precious/file"));
}

/* Without btrfs nothing is made, and the error says what is wrong. */
static void test_btrfs_elsewhere(void **state) {
        _cleanup_close_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_true(btrfs_subvolume_create(proc_fd, "x") < 0);
        assert_true(btrfs_subvolume_snapshot(proc_fd, dir_fd, "x") < 0);
        assert_false(is_there(dir_fd, "x"));
        assert_int_equal(btrfs_subvolume_remove(dir_fd, "x"), 0);
}

#define TEXT "nameserver 192.0.2.1\n"

/* A resolver takes the place of what the root has, and nothing is written through a symlink. */
static void test_resolver(void **state) {
        _cleanup_close_ int root_fd = open_directory(state);
        _cleanup_free_ char *copy = NULL, *precious = NULL;
        struct stat st;

        mode_t mask = umask(0077);
        assert_int_equal(resolver_write(root_fd, geteuid(), TEXT), 0); /* /etc is made */
        umask(mask);
        assert_int_equal(fstatat(root_fd, "etc", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 0755);
        assert_int_equal(unlinkat(root_fd, "etc/resolv.conf", 0), 0);

        make_file(root_fd, "etc/precious", "", 0600);
        assert_int_equal(symlinkat("precious", root_fd, "etc/resolv.conf"), 0);
        assert_int_equal(resolver_write(root_fd, geteuid(), TEXT), 0);
        assert_int_equal(file_read_at(root_fd, "etc/precious", 1, &precious, NULL), 0);
        assert_string_equal(precious, "");

        assert_int_equal(fstatat(root_fd, "etc/resolv.conf", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(st.st_uid, geteuid());
        assert_int_equal(file_read_at(root_fd, "etc/resolv.conf", 1024, &copy, NULL), 0);
        assert_string_equal(copy, TEXT);
}

/* What is missing is made, links only to what is there; what is there stays as it is. */
static void test_skeleton(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        char target[16] = "";
        struct stat st;

        assert_int_equal(mkdirat(dir_fd, "usr", 0700), 0);
        assert_int_equal(mkdirat(dir_fd, "usr/bin", 0755), 0);
        assert_int_equal(symlinkat("/nowhere", dir_fd, "var"), 0);
        make_file(dir_fd, "sys", "", 0600);
        assert_int_equal(skeleton_complete(dir_fd), 0);
        assert_int_equal(fstatat(dir_fd, "usr", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 0700);
        assert_int_equal(fstatat(dir_fd, "tmp", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 01777);
        assert_int_equal(readlinkat(dir_fd, "var", target, sizeof(target)), strlen("/nowhere"));
        assert_int_equal(readlinkat(dir_fd, "bin", target, sizeof(target)), strlen("usr/bin"));
        assert_memory_equal(target, "usr/bin", strlen("usr/bin"));
        assert_false(is_there(dir_fd, "lib") || is_there(dir_fd, "lib64"));
        assert_true(is_there(dir_fd, "proc") && is_there(dir_fd, "run") && is_there(dir_fd, "dev"));
        assert_int_equal(skeleton_complete(dir_fd), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test_setup_teardown(test_limited, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_pick, setup_directory, teardown_directory),
        cmocka_unit_test(test_pick_proc),
        cmocka_unit_test_setup_teardown(test_overlay_layer, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove_any, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove_symlink, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_btrfs_elsewhere, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_skeleton, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_resolver, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
