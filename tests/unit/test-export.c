/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/copy-content.h"
#include "tree/export.h"

static void make_old_file(int fd, const char *path, const char *text, mode_t mode) {
        make_file(fd, path, text, mode);
        assert_int_equal(utimensat(fd, path, (const struct timespec[]){ { 100, 0 }, { 100, 5 } }, 0), 0);
}

/* A tree as a job may leave it, and outside of it something that is not for others. */
static int make_tree(int fd) {
        int root_fd = open_directory_at(fd, "root", true, 0755);

        make_old_file(fd, "outside", "secret", 0600);
        assert_int_equal(mkdirat(root_fd, "d", 0750), 0);
        assert_int_equal(mkdirat(root_fd, "d/e", 0700), 0);
        make_old_file(root_fd, "d/file", "text", 06755);
        make_old_file(root_fd, "d/e/unreadable", "x", 0);
        make_old_file(root_fd, "outside", "inside", 0644);
        assert_int_equal(symlinkat("../../outside", root_fd, "d/up"), 0);
        assert_int_equal(symlinkat("/d/e", root_fd, "way"), 0);
        assert_int_equal(mkfifoat(root_fd, "d/pipe", 0600), 0);
        return root_fd;
}

static void test_export(void **state) {
        static const struct {
                const char *path;
                int result;
                uint64_t n_copied, n_left_out;
        } table[] = {
                { "/d", 0, 5, 1 },         { "d/file", 0, 1, 0 },          { "way", 0, 2, 0 },
                { "/d/up", 0, 1, 0 },      { "/../../../d/e", 0, 2, 0 },   { "d/pipe", -ENOTSUP, 0, 1 },
                { "none", -ENOENT, 0, 0 }, { "d/file/x", -ENOTDIR, 0, 0 },
        };
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int root_fd = make_tree(fd);
        ExportResult result;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char name[] = { 'x', (char) ('0' + i), 0 };

                if (geteuid() != 0 && table[i].n_copied != 1 && table[i].n_copied != 0)
                        continue; /* who is not root cannot read all of it */
                assert_row(export_tree(root_fd, table[i].path, fd, name, &result) == table[i].result, i, table[i].path);
                assert_row(result.n_copied == table[i].n_copied, i, table[i].path);
                assert_row(result.n_left_out == table[i].n_left_out, i, table[i].path);
        }
        _cleanup_free_ char *file = NULL, *inside = NULL;
        struct stat st;

        assert_int_equal(file_read_at(fd, "x1", 100, &file, NULL), 0);
        assert_string_equal(file, "text");
        assert_int_equal(fstatat(fd, "x1", &st, 0), 0);
        assert_true((st.st_mode & 07777) == 0755 && st.st_mtim.tv_sec == 100 && st.st_mtim.tv_nsec == 5);
        /* The link leads to what is inside. */
        assert_int_equal(file_read_at(fd, "x3", 100, &inside, NULL), 0);
        assert_string_equal(inside, "inside");
        if (geteuid() == 0) {
                char target[32] = "";

                assert_true(readlinkat(fd, "x0/up", target, sizeof(target) - 1) > 0);
                assert_string_equal(target, "../../outside");
        }
}

/* Directories that are nested without end keep nobody from the rest. */
static void test_deep(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int root_fd = make_tree(fd), below_fd = open_directory_at(root_fd, "d/e", false, 0);
        ExportResult result;

        for (unsigned i = 0; i < 250; i++) {
                int deeper_fd = open_directory_at(below_fd, "deep", true, 0755);

                assert_true(deeper_fd >= 0);
                close(below_fd);
                below_fd = deeper_fd;
        }
        assert_int_equal(export_tree(root_fd, "d/e/deep", fd, "copy", &result), 0);
        assert_true(result.n_copied > 100 && result.n_copied < 250);
        assert_int_equal(result.n_left_out, 1);
}

/* What is there stays, and is not followed. */
static void test_target(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int root_fd = make_tree(fd);
        _cleanup_free_ char *text = NULL;
        ExportResult result;

        assert_int_equal(symlinkat("outside", fd, "link"), 0);
        assert_int_equal(symlinkat("nowhere", fd, "dangling"), 0);
        assert_int_equal(export_tree(root_fd, "d/file", fd, "link", &result), -EEXIST);
        assert_int_equal(export_tree(root_fd, "d/file", fd, "dangling", &result), -EEXIST);
        assert_int_equal(export_tree(root_fd, "d", fd, "link", &result), -EEXIST);
        assert_int_equal(faccessat(fd, "nowhere", F_OK, AT_SYMLINK_NOFOLLOW), -1);
        assert_int_equal(file_read_at(fd, "outside", 100, &text, NULL), 0);
        assert_string_equal(text, "secret");
}

/* More than what is copied between two looks whether to go on. */
static void test_large_file(void **state) {
        const off_t size = (off_t) 65 * 1024 * 1024;
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ContentCopy copy = { .no_clone = true };
        struct stat st;

        make_file(fd, "source", "", 0600);
        _cleanup_close_ int source_fd = openat(fd, "source", O_RDWR | O_CLOEXEC);
        _cleanup_close_ int target_fd = openat(fd, "target", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_int_equal(posix_fallocate(source_fd, 0, size), 0);
        assert_int_equal(fstat(source_fd, &st), 0);
        assert_int_equal(content_copy_init(&copy), 0);
        assert_int_equal(content_copy(&copy, source_fd, target_fd, &st), 0);
        content_copy_done(&copy);
        assert_int_equal(fstat(target_fd, &st), 0);
        assert_int_equal(st.st_size, size);
}

/* A file that was larger when it was looked at. */
static void test_shorter_content(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        ContentCopy copy = { .no_clone = true };
        struct stat st;

        make_file(fd, "source", "text", 0600);
        _cleanup_close_ int source_fd = openat(fd, "source", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int target_fd = openat(fd, "target", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_int_equal(fstat(source_fd, &st), 0);
        st.st_size += 100;
        st.st_blocks = 8;
        assert_int_equal(content_copy_init(&copy), 0);
        assert_int_equal(content_copy(&copy, source_fd, target_fd, &st), CONTENT_SHORTER);
        content_copy_done(&copy);
        assert_int_equal(file_read_at(fd, "target", 1000, &text, NULL), 0);
        assert_string_equal(text, "text");
}

typedef struct Truncator {
        int fd;
        atomic_bool end;
} Truncator;

static void *truncate_often(void *userdata) {
        Truncator *truncator = userdata;
        char data[65536] = { 1 };

        while (!truncator->end) {
                for (off_t at = 0; at < 64; at++)
                        (void) !pwrite(truncator->fd, data, sizeof(data), at * (off_t) sizeof(data));
                (void) !ftruncate(truncator->fd, 0);
        }
        return NULL;
}

/* A job truncates its files whenever it likes. */
static void test_truncated_meanwhile(void **state) {
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int root_fd = make_tree(fd);
        Truncator truncator = { .fd = openat(root_fd, "log", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) };
        ExportResult result;
        pthread_t thread;
        int r = 0;

        assert_int_equal(pthread_create(&thread, NULL, truncate_often, &truncator), 0);
        for (unsigned i = 0; i < 200 && r == 0; i++) {
                r = export_tree(root_fd, "log", fd, "copy", &result);
                (void) unlinkat(fd, "copy", 0);
        }
        truncator.end = true;
        assert_int_equal(pthread_join(thread, NULL), 0);
        close(truncator.fd);
        assert_int_equal(r, 0);
        assert_int_equal(result.n_copied, 1);
}

/* What the kernel makes up says more to us than to them. */
static void test_made_up(void **state) {
        static const char *const paths[] = { "/proc/self/environ", "/proc", "/sys/kernel/uevent_seqnum" };
        _cleanup_close_ int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ExportResult result;

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                if (access(paths[i], F_OK) < 0)
                        continue;
                assert_row(export_tree(root_fd, paths[i], fd, "x", &result) == -ENOTSUP, i, paths[i]);
                assert_int_equal(result.n_left_out, 1);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_export, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_deep, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_target, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_large_file, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_shorter_content, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_truncated_meanwhile, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_made_up, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
