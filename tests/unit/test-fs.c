/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <sys/resource.h>

#include "base/fd.h"
#include "base/string.h"
#include "failing.h"
#include "tree/remove.h"

/* They come behind what the list has. */
static void test_directory_names(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_strv_ char **names = NULL;
        char name[8];

        assert_int_equal(directory_names(dir_fd, &names), 0);
        assert_null(names);
        assert_int_equal(strv_extend(&names, "first"), 0);
        for (unsigned i = 0; i < 200; i++) {
                snprintf(name, sizeof(name), "%03u", i);
                make_file(dir_fd, name, "", 0600);
        }
        assert_int_equal(directory_names(dir_fd, &names), 0);
        assert_int_equal(strv_length(names), 201);
        assert_string_equal(names[0], "first");
        strv_sort(names);
        assert_string_equal(names[199], "199");
}

/* Symlinks cannot lead out of the root: those that would, find something inside it, or nothing. */
static void test_open_in_root(void **state) {
        static const struct {
                const char *path;
                int result; /* 0: it opens */
        } table[] = {
                { "etc/inside", 0 },     { "/etc/inside", 0 },         { "../../../../etc/inside", 0 },
                { "absolute", 0 },      /* -> /etc/inside */
                { "upwards", 0 },       /* -> ../../../../../etc/inside */
                { "outside", -ENOENT }, /* -> /etc/passwd */
                { "loop", -ELOOP },     /* -> loop */
                { "etc/none", -ENOENT }, { "etc/inside/x", -ENOTDIR },
        };
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_int_equal(mkdirat(dir_fd, "etc", 0755), 0);
        make_file(dir_fd, "etc/inside", "", 0600);
        assert_int_equal(symlinkat("/etc/inside", dir_fd, "absolute"), 0);
        assert_int_equal(symlinkat("../../../../../etc/inside", dir_fd, "upwards"), 0);
        assert_int_equal(symlinkat("/etc/passwd", dir_fd, "outside"), 0);
        assert_int_equal(symlinkat("loop", dir_fd, "loop"), 0);

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_close_ int fd = open_in_root(dir_fd, table[i].path, O_RDONLY);
                assert_row(table[i].result == 0 ? fd >= 0 : fd == table[i].result, i, table[i].path);
        }
}

static void test_file_read_in_root(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *data = NULL, *untouched = NULL;
        char too_long[NAME_MAX + 2] = "";
        size_t size;

        memset(too_long, 'x', NAME_MAX + 1);
        assert_int_equal(file_replace_at(dir_fd, "file", "text", 4, 0644), 0);
        assert_int_equal(symlinkat("/file", dir_fd, "link"), 0);
        assert_int_equal(mkfifoat(dir_fd, "fifo", 0600), 0);
        assert_int_equal(symlinkat("loop", dir_fd, "loop"), 0);
        assert_int_equal(symlinkat(too_long, dir_fd, "long"), 0);
        assert_int_equal(file_read_in_root(dir_fd, "link", 4, &data, &size), 0);
        assert_int_equal(size, 4);
        assert_string_equal(data, "text");
        assert_int_equal(file_read_in_root(dir_fd, "link", 3, &untouched, &size), -EFBIG);
        static const struct {
                const char *path;
                int r;
        } none[] = { { "fifo", -ENOTSUP },      { ".", -EISDIR },    { "none", -ENOENT },
                     { "file/below", -ENOENT }, { "loop", -ENOENT }, { "long/file", -ENOENT } };
        for (size_t i = 0; i < ELEMENTSOF(none); i++) {
                assert_row(file_read_in_root(dir_fd, none[i].path, 4, &untouched, &size) == none[i].r, i, none[i].path);
                assert_row(file_find_in_root(dir_fd, none[i].path, 4, &untouched, &size) == -ENOENT, i, none[i].path);
        }
        assert_null(untouched);
}

static void test_open_directory_at(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_int_equal(open_directory_at(dir_fd, "d", false, 0), -ENOENT);
        _cleanup_close_ int made_fd = open_directory_at(dir_fd, "d", true, 0700);
        _cleanup_close_ int again_fd = open_directory_at(dir_fd, "d", true, 0700);
        assert_true(made_fd >= 0);
        assert_true(again_fd >= 0);
        assert_int_equal(symlinkat("d", dir_fd, "link"), 0);
        assert_int_equal(open_directory_at(dir_fd, "link", true, 0700), -ENOTDIR);
}

static void test_mkdir_parents(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *path = NULL, *below_file = NULL;

        assert_int_equal(string_printf(&path, "%s/a/b/c", (char *) *state), 0);
        assert_int_equal(mkdir_parents(path, 0700), 0);
        assert_int_equal(mkdir_parents(path, 0700), 0);
        assert_true(is_there(dir_fd, "a/b/c"));
        assert_int_equal(mkdir_parents("/", 0700), 0);

        make_file(dir_fd, "file", "", 0600);
        assert_int_equal(string_printf(&below_file, "%s/file", (char *) *state), 0);
        assert_int_equal(mkdir_parents(below_file, 0700), -ENOTDIR);
}

static void test_remove(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_int_equal(remove_tree_at(dir_fd, "none"), 0);

        make_file(dir_fd, "file", "", 0600);
        assert_int_equal(remove_tree_at(dir_fd, "file"), 0);
        assert_false(is_there(dir_fd, "file"));

        /* A symlink is removed, not what it names. */
        assert_int_equal(mkdirat(dir_fd, "kept", 0700), 0);
        make_file(dir_fd, "kept/file", "", 0600);
        assert_int_equal(symlinkat("kept", dir_fd, "link"), 0);
        assert_int_equal(remove_tree_at(dir_fd, "link"), 0);

        assert_int_equal(mkdirat(dir_fd, "tree", 0700), 0);
        assert_int_equal(symlinkat("../kept", dir_fd, "tree/link"), 0);
        assert_int_equal(mkdirat(dir_fd, "tree/sub", 0700), 0);
        assert_int_equal(mkdirat(dir_fd, "tree/sub/empty", 0700), 0);
        assert_int_equal(mkfifoat(dir_fd, "tree/sub/fifo", 0600), 0);
        make_file(dir_fd, "tree/sub/-rf", "", 0600);
        assert_int_equal(remove_tree_at(dir_fd, "tree"), 0);
        assert_false(is_there(dir_fd, "tree"));
        assert_true(is_there(dir_fd, "kept/file"));
}

/* Deeper than any stack, PATH_MAX and limit on open descriptors, and with names in it like those that removal uses
 * itself. */
static void test_remove_deep(void **state) {
        const unsigned depth = 3000;
        const struct rlimit few = { 256, 256 };
        _cleanup_close_ int dir_fd = open_directory(state);
        struct rlimit before;
        int fd = open_directory_at(dir_fd, "deep", true, 0700);

        for (unsigned i = 0; i < 200; i++) {
                char name[64];

                assert_true(fd >= 0);
                snprintf(name, sizeof(name), ".remove-%u-%d", i, (int) getpid());
                assert_int_equal(mkdirat(fd, name, 0700), 0);
                _cleanup_close_ int taken_fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                make_file(taken_fd, "file", "", 0600);
        }
        for (unsigned i = 0; i < depth; i++) {
                assert_true(fd >= 0);
                make_file(fd, "file", "", 0600);
                int child = open_directory_at(fd, "d", true, 0700);
                close(fd);
                fd = child;
        }
        close(fd);

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ few.rlim_cur, before.rlim_max }), 0);
        assert_int_equal(remove_tree_at(dir_fd, "deep"), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_false(is_there(dir_fd, "deep"));
}

/* A rename somewhere on the host gets in the way of any of these. */
static void test_open_again(void **state) {
        int (*const functions[])(int dir_fd, const char *path, int flags) = { open_in_root, find_in_root, open_beneath,
                                                                              open_without_symlinks };
        _cleanup_close_ int dir_fd = open_directory(state);

        make_file(dir_fd, "file", "", 0644);
        for (size_t i = 0; i < ELEMENTSOF(functions); i++) {
                failing_openat2(20, EAGAIN);
                _cleanup_close_ int fd = functions[i](dir_fd, "file", O_RDONLY);
                assert_row(fd >= 0, i, "");
                failing_openat2(1, EMFILE);
                assert_row(functions[i](dir_fd, "file", O_RDONLY) == -EMFILE, i, "");
        }
}

static void test_open_beneath(void **state) {
        static const struct {
                const char *path;
                int result;
        } table[] = {
                { "file", 0 },
                { "d/../file", 0 },
                { "d/up/file", 0 },
                { "d/missing", -ENOENT },
                { "file/file", -ENOTDIR },
                { "loop", -ELOOP },
                { "..", -EXDEV },
                { "d/../../file", -EXDEV },
                { "/etc", -EXDEV },
                { "d/out/etc", -EXDEV },
        };
        _cleanup_close_ int dir_fd = open_directory(state);

        assert_int_equal(mkdirat(dir_fd, "d", 0755), 0);
        make_file(dir_fd, "file", "", 0644);
        assert_int_equal(symlinkat("..", dir_fd, "d/up"), 0);
        assert_int_equal(symlinkat("/", dir_fd, "d/out"), 0);
        assert_int_equal(symlinkat("loop", dir_fd, "loop"), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_close_ int fd = open_beneath(dir_fd, table[i].path, O_RDONLY);
                assert_row(MIN(fd, 0) == table[i].result, i, table[i].path);
        }
}

static void test_own_executable(_unused_ void **state) {
        _cleanup_free_ char *path = NULL, *directory = NULL, *joined = NULL;

        assert_int_equal(own_executable(&path, &directory), 0);
        assert_int_equal(string_printf(&joined, "%s/units", directory), 0);
        assert_string_equal(path, joined);
        assert_int_equal(access(path, X_OK), 0);
}

static void test_modified(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, { 1234567890, 987654321 } };
        struct stat st;

        assert_int_equal(futimens(dir_fd, times), 0);
        assert_int_equal(fstat(dir_fd, &st), 0);
        assert_true(stat_modified_usec(&st) == UINT64_C(1234567890987654));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_modified, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_directory_names, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_open_in_root, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_file_read_in_root, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_open_directory_at, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_mkdir_parents, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_remove_deep, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_open_again, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_open_beneath, setup_directory, teardown_directory),
        cmocka_unit_test(test_own_executable),
};
UNIT_FILE(tests);
