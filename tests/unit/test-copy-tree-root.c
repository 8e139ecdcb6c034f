/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <limits.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/string.h"
#include "tree/copy-tree.h"

typedef struct Trees {
        int dir_fd, source_fd, target_fd;
} Trees;

static Trees make_trees(void **state) {
        Trees trees = { .dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };

        trees.source_fd = open_directory_at(trees.dir_fd, "source", true, 0755);
        trees.target_fd = open_directory_at(trees.dir_fd, "target", true, 0755);
        assert_true(trees.source_fd >= 0 && trees.target_fd >= 0);
        return trees;
}

static void trees_done(Trees *trees) {
        closep(&trees->dir_fd);
        closep(&trees->source_fd);
        closep(&trees->target_fd);
}
#define _cleanup_trees_ _cleanup_(trees_done)

static struct stat stat_at(int dir_fd, const char *name) {
        struct stat st;

        assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st;
}

/* The attributes that every kind of file has. */
static void assert_same(const Trees *trees, const char *name) {
        struct stat a = stat_at(trees->source_fd, name), b = stat_at(trees->target_fd, name);

        assert_int_equal(a.st_mode, b.st_mode);
        assert_int_equal(a.st_uid, b.st_uid);
        assert_int_equal(a.st_gid, b.st_gid);
        assert_int_equal(a.st_rdev, b.st_rdev);
        assert_int_equal(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
        assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
        assert_int_equal(a.st_nlink, b.st_nlink);
        if (!S_ISDIR(a.st_mode))
                assert_int_equal(a.st_size, b.st_size);
}

static void test_kinds(void **state) {
        _cleanup_trees_ Trees trees = make_trees(state);
        int s = trees.source_fd;

        make_file(s, "plain", "content", 0644);
        make_file(s, "empty", "", 0);
        make_file(s, "setuid", "x", 06755);
        assert_int_equal(fchownat(s, "setuid", 1234, 5678, 0), 0);
        assert_int_equal(fchmodat(s, "setuid", 06755, 0), 0);
        assert_int_equal(symlinkat("/etc/passwd", s, "symlink"), 0);
        assert_int_equal(fchownat(s, "symlink", 7, 8, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(mkfifoat(s, "fifo", 0600), 0);
        assert_int_equal(mknodat(s, "device", S_IFCHR | 0666, makedev(1, 3)), 0);
        assert_int_equal(mknodat(s, "block", S_IFBLK | 0600, makedev(259, 70000)), 0);
        assert_int_equal(mknodat(s, "whiteout", S_IFCHR, makedev(0, 0)), 0);
        assert_int_equal(mknodat(s, "socket", S_IFSOCK | 0700, 0), 0);
        assert_int_equal(mkdirat(s, "sticky", 01777), 0);
        assert_int_equal(fchmodat(s, "sticky", 03777, 0), 0);
        assert_int_equal(mkdirat(s, "none", 0), 0);

        const char *const names[] = { "plain", "empty",    "setuid", "symlink", "fifo", "device",
                                      "block", "whiteout", "socket", "sticky",  "none", "." };
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_int_equal(utimensat(s, names[i],
                                           (struct timespec[2]){ { 1000, 5 }, { 4102444800 + (time_t) i, 123456789 } },
                                           AT_SYMLINK_NOFOLLOW),
                                 0);
        assert_int_equal(copy_tree(trees.source_fd, trees.target_fd, NULL, -EBADF), 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_same(&trees, names[i]);
        assert_int_equal(stat_at(trees.target_fd, "plain").st_mtim.tv_sec, 4102444800);

        char target[32] = "";
        assert_int_equal(readlinkat(trees.target_fd, "symlink", target, sizeof(target)), 11);
        assert_string_equal(target, "/etc/passwd");
}

static void test_hard_links(void **state) {
        enum { DIRECTORIES = 150 };
        _cleanup_trees_ Trees trees = make_trees(state);
        int s = trees.source_fd, t = trees.target_fd;

        make_file(s, "first", "content", 0600);
        assert_int_equal(symlinkat("x", s, "symlink"), 0);
        assert_int_equal(mkfifoat(s, "fifo", 0600), 0);
        for (unsigned i = 0; i < DIRECTORIES; i++) {
                char name[64];

                snprintf(name, sizeof(name), "d%u", i);
                assert_int_equal(mkdirat(s, name, 0755), 0);
                snprintf(name, sizeof(name), "d%u/link", i);
                assert_int_equal(linkat(s, "first", s, name, 0), 0);
                snprintf(name, sizeof(name), "d%u/symlink", i);
                assert_int_equal(linkat(s, "symlink", s, name, 0), 0);
                snprintf(name, sizeof(name), "d%u/fifo", i);
                assert_int_equal(linkat(s, "fifo", s, name, 0), 0);
                /* Enough of them for the table to grow. */
                for (unsigned j = 0; j < 8; j++) {
                        char other[64];
                        snprintf(name, sizeof(name), "d%u/a%u", i, j);
                        snprintf(other, sizeof(other), "d%u/b%u", i, j);
                        make_file(s, name, "y", 0600);
                        assert_int_equal(linkat(s, name, s, other, 0), 0);
                }
        }

        assert_int_equal(copy_tree(s, t, NULL, -EBADF), 0);
        const char *const kinds[] = { "first", "symlink", "fifo" };
        for (size_t k = 0; k < ELEMENTSOF(kinds); k++)
                assert_int_equal(stat_at(t, kinds[k]).st_nlink, DIRECTORIES + 1);
        for (unsigned i = 0; i < DIRECTORIES; i++) {
                char a[64], b[64];

                snprintf(a, sizeof(a), "d%u/link", i);
                assert_int_equal(stat_at(t, a).st_ino, stat_at(t, "first").st_ino);
                snprintf(a, sizeof(a), "d%u/a3", i);
                snprintf(b, sizeof(b), "d%u/b3", i);
                assert_int_equal(stat_at(t, a).st_ino, stat_at(t, b).st_ino);
                assert_int_equal(stat_at(t, a).st_nlink, 2);
        }
}

static void test_attributes(void **state) {
        /* cap_net_raw=ep; user::rw-,user:1234:r--,group::r--,mask::r--,other::--- */
        static const uint8_t capability[] = { 1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
        static const uint8_t acl[] = { 2, 0,    0,    0,    1,    0,    6,    0, 0xff, 0xff, 0xff, 0xff, 2,    0,    4,
                                       0, 0xd2, 4,    0,    0,    4,    0,    4, 0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,
                                       4, 0,    0xff, 0xff, 0xff, 0xff, 0x20, 0, 0,    0,    0xff, 0xff, 0xff, 0xff };
        _cleanup_trees_ Trees trees = make_trees(state);
        uint8_t value[128];
        char path[128];

        make_file(trees.source_fd, "program", "x", 0755);
        make_file(trees.source_fd, "listed", "x", 0640);
        assert_int_equal(mkdirat(trees.source_fd, "directory", 0755), 0);
        assert_int_equal(symlinkat("x", trees.source_fd, "symlink"), 0);
        assert_int_equal(mkfifoat(trees.source_fd, "fifo", 0600), 0);
        for (const char *const *name =
                     (const char *const[]){ "program", "listed", "directory", "symlink", "fifo", NULL };
             *name; name++) {
                snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", trees.source_fd, *name);
                assert_int_equal(lsetxattr(path, "trusted.test", "t\0t", 3, 0), 0);
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d/program", trees.source_fd);
        assert_int_equal(setxattr(path, "security.capability", capability, sizeof(capability), 0), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/listed", trees.source_fd);
        assert_int_equal(setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/directory", trees.source_fd);
        assert_int_equal(setxattr(path, "system.posix_acl_default", acl, sizeof(acl), 0), 0);
        /* What is in there has no such list, and must not get one. */
        make_file(trees.source_fd, "directory/inside", "x", 0644);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/directory/inside", trees.source_fd);
        (void) removexattr(path, "system.posix_acl_access");
        assert_int_equal(fsetxattr(trees.source_fd, "trusted.unwanted", "1", 1, 0), 0);
        assert_int_equal(fsetxattr(trees.source_fd, "trusted.wanted", "1", 1, 0), 0);
        /* The target's place has one that is inherited. */
        assert_int_equal(fsetxattr(trees.target_fd, "system.posix_acl_default", acl, sizeof(acl), 0), 0);

        const char *const skip[] = { "trusted.unwanted", NULL };
        assert_int_equal(copy_tree(trees.source_fd, trees.target_fd, skip, -EBADF), 0);
        for (const char *const *name =
                     (const char *const[]){ "program", "listed", "directory", "symlink", "fifo", NULL };
             *name; name++) {
                snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", trees.target_fd, *name);
                assert_int_equal(lgetxattr(path, "trusted.test", value, sizeof(value)), 3);
                assert_memory_equal(value, "t\0t", 3);
                assert_same(&trees, *name);
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d/program", trees.target_fd);
        assert_int_equal(getxattr(path, "security.capability", value, sizeof(value)), sizeof(capability));
        assert_memory_equal(value, capability, sizeof(capability));
        snprintf(path, sizeof(path), "/proc/self/fd/%d/listed", trees.target_fd);
        assert_int_equal(getxattr(path, "system.posix_acl_access", value, sizeof(value)), sizeof(acl));
        assert_memory_equal(value, acl, sizeof(acl));
        snprintf(path, sizeof(path), "/proc/self/fd/%d/directory", trees.target_fd);
        assert_int_equal(getxattr(path, "system.posix_acl_default", value, sizeof(value)), sizeof(acl));
        snprintf(path, sizeof(path), "/proc/self/fd/%d/directory/inside", trees.target_fd);
        assert_int_equal(getxattr(path, "system.posix_acl_access", value, sizeof(value)), -1);
        assert_same(&trees, "directory/inside");
        assert_int_equal(fgetxattr(trees.target_fd, "trusted.unwanted", value, sizeof(value)), -1);
        assert_int_equal(fgetxattr(trees.target_fd, "trusted.wanted", value, sizeof(value)), 1);
        assert_int_equal(fgetxattr(trees.target_fd, "system.posix_acl_default", value, sizeof(value)), -1);
}

/* Holes stay holes, at the end too, and what is between them arrives. */
static void test_sparse(void **state) {
        enum { SIZE = 64 * 1024 * 1024 };
        _cleanup_trees_ Trees trees = make_trees(state);
        _cleanup_free_ char *big = malloc(4 * 1024 * 1024), *copy = malloc(4 * 1024 * 1024);

        for (size_t i = 0; i < 4 * 1024 * 1024; i++)
                big[i] = (char) (i * 2654435761U >> 24);
        _cleanup_close_ int fd = openat(trees.source_fd, "sparse", O_RDWR | O_CREAT, 0600);
        assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
        assert_int_equal(pwrite(fd, big, 4 * 1024 * 1024, 16 * 1024 * 1024 + 4096), 4 * 1024 * 1024);
        assert_int_equal(ftruncate(fd, SIZE), 0);
        _cleanup_close_ int hole_fd = openat(trees.source_fd, "hole", O_RDWR | O_CREAT, 0600);
        assert_int_equal(ftruncate(hole_fd, (off_t) 1 << 40), 0);
        _cleanup_close_ int full_fd = openat(trees.source_fd, "full", O_RDWR | O_CREAT, 0600);
        assert_int_equal(fd_write_all(full_fd, big, 4 * 1024 * 1024 - 7), 0);
        assert_int_equal(fsync(fd), 0);

        assert_int_equal(copy_tree(trees.source_fd, trees.target_fd, NULL, -EBADF), 0);
        assert_same(&trees, "sparse");
        assert_same(&trees, "hole");
        assert_same(&trees, "full");
        assert_true(stat_at(trees.target_fd, "sparse").st_blocks < SIZE / 512 / 4);
        assert_int_equal(stat_at(trees.target_fd, "hole").st_blocks, 0);
        _cleanup_close_ int to_fd = openat(trees.target_fd, "sparse", O_RDONLY);
        assert_int_equal(pread(to_fd, copy, 4 * 1024 * 1024, 16 * 1024 * 1024 + 4096), 4 * 1024 * 1024);
        assert_memory_equal(big, copy, 4 * 1024 * 1024);
        assert_int_equal(pread(to_fd, copy, 5, 0), 5);
        assert_memory_equal(copy, "begin", 5);
        _cleanup_close_ int all_fd = openat(trees.target_fd, "full", O_RDONLY);
        assert_int_equal(pread(all_fd, copy, 4 * 1024 * 1024, 0), 4 * 1024 * 1024 - 7);
        assert_memory_equal(big, copy, 4 * 1024 * 1024 - 7);
}

/* A tree that is deeper than any path may be long, and than there are descriptors. */
static void test_deep(void **state) {
        enum { DEPTH = 1000 };
        _cleanup_trees_ Trees trees = make_trees(state);
        int fd = fcntl(trees.source_fd, F_DUPFD_CLOEXEC, 3);
        struct rlimit before, few = { .rlim_cur = DEPTH / 4 };

        assert_true(DEPTH * strlen("deeper/") > PATH_MAX);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        few.rlim_max = before.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        for (unsigned i = 0; i < DEPTH; i++) {
                assert_int_equal(mkdirat(fd, "sibling", 0700), 0);
                int child = open_directory_at(fd, "deeper", true, 0750);
                assert_true(child >= 0);
                close(fd);
                fd = child;
        }
        make_file(fd, "bottom", "x", 0600);
        assert_int_equal(linkat(fd, "bottom", trees.source_fd, "top", 0), 0);
        close(fd);

        assert_int_equal(copy_tree(trees.source_fd, trees.target_fd, NULL, -EBADF), 0);
        fd = fcntl(trees.target_fd, F_DUPFD_CLOEXEC, 3);
        for (unsigned i = 0; i < DEPTH; i++) {
                int child = open_directory_at(fd, "deeper", false, 0);
                assert_true(child >= 0);
                close(fd);
                fd = child;
        }
        assert_int_equal(stat_at(fd, "bottom").st_ino, stat_at(trees.target_fd, "top").st_ino);
        close(fd);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* A tree that tries to lead elsewhere: nothing is written or read outside. */
static void test_hostile(void **state) {
        _cleanup_trees_ Trees trees = make_trees(state);

        assert_int_equal(mkdirat(trees.dir_fd, "outside", 0755), 0);
        make_file(trees.dir_fd, "outside/file", "untouched", 0644);
        assert_int_equal(symlinkat("/", trees.source_fd, "etc"), 0);
        assert_int_equal(symlinkat("../outside", trees.source_fd, "usr"), 0);
        assert_int_equal(symlinkat("../outside/file", trees.source_fd, "file"), 0);
        assert_int_equal(symlinkat("../outside/new", trees.source_fd, "new"), 0);
        struct stat before = stat_at(trees.dir_fd, "outside/file");

        assert_int_equal(copy_tree(trees.source_fd, trees.target_fd, NULL, -EBADF), 0);
        assert_same(&trees, "etc");
        assert_same(&trees, "usr");
        assert_true(S_ISLNK(stat_at(trees.target_fd, "file").st_mode));
        struct stat after = stat_at(trees.dir_fd, "outside/file");
        assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
        assert_int_equal(faccessat(trees.dir_fd, "outside/new", F_OK, 0), -1);
}

static void test_mount_comes_out_empty(void **state) {
        _cleanup_trees_ Trees trees = make_trees(state);
        _cleanup_free_ char *where = NULL;

        assert_int_equal(string_printf(&where, "%s/source/mounted", (char *) *state), 0);
        assert_int_equal(mkdirat(trees.source_fd, "mounted", 0755), 0);
        assert_int_equal(mount("tmpfs", where, "tmpfs", 0, "mode=0751"), 0);
        make_file(trees.source_fd, "mounted/secret", "x", 0600);
        int r = copy_tree(trees.source_fd, trees.target_fd, NULL, -EBADF);
        assert_int_equal(umount(where), 0);
        assert_int_equal(r, 0);
        assert_int_equal(stat_at(trees.target_fd, "mounted").st_mode, S_IFDIR | 0751);
        assert_int_equal(faccessat(trees.target_fd, "mounted/secret", F_OK, 0), -1);
}

static void test_failures(void **state) {
        _cleanup_trees_ Trees trees = make_trees(state);
        _cleanup_close_ int event_fd = eventfd(1, EFD_CLOEXEC);

        make_file(trees.source_fd, "file", "x", 0600);
        assert_int_equal(copy_tree(trees.source_fd, trees.target_fd, NULL, event_fd), -ECANCELED);
        make_file(trees.target_fd, "file", "in the way", 0600);
        assert_int_equal(copy_tree(trees.source_fd, trees.target_fd, NULL, -EBADF), -EEXIST);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kinds, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_hard_links, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_attributes, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_sparse, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_deep, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_hostile, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_mount_comes_out_empty, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_failures, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .lacks = lacks_mount_namespace);
