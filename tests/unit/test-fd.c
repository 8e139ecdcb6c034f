/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/new-file.h"
#include "base/string.h"

static void test_read_all(void **state) {
        static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 100000 };
        _cleanup_close_ int dir_fd = open_directory(state);

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                size_t size = sizes[i], read_size = 4711;
                _cleanup_free_ char *data = malloc(size + 1), *read_data = NULL;

                memset(data, 'x', size);
                assert_int_equal(file_replace_at(dir_fd, "file", data, size, 0600), 0);
                assert_int_equal(file_read_at(dir_fd, "file", size, &read_data, &read_size), 0);
                assert_row(read_size == size && memcmp(data, read_data, size) == 0 && read_data[size] == 0, i, "whole");

                /* one byte more than allowed, with the outputs untouched */
                char *untouched = NULL;
                if (size > 0)
                        assert_row(file_read_at(dir_fd, "file", size - 1, &untouched, NULL) == -EFBIG && !untouched, i,
                                   "too big");
        }
}

static void test_stream(_unused_ void **state) {
        int fd = memfd_create("stream", MFD_CLOEXEC);
        FILE *file = file_stream(fd, "w");

        assert_non_null(file);
        assert_int_equal(fclose(file), 0);

        fd = memfd_create("stream", MFD_CLOEXEC);
        assert_null(file_stream(fd, "no mode"));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(fcntl(fd, F_GETFD), -1);

        errno = EMFILE;
        assert_null(file_stream(-1, "w"));
        assert_int_equal(errno, EMFILE);
}

static void test_read_pipe(_unused_ void **state) {
        _cleanup_free_ char *data = NULL;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fd_write_all(fds[1], "abc", 3), 0);
        close(fds[1]);
        assert_int_equal(fd_read_all(fds[0], 3, &data, NULL), 0);
        assert_string_equal(data, "abc");
        close(fds[0]);
}

/* Whatever has the name that the new file has at first, as in somebody's image, is not opened. */
static void test_replace_beside_a_trap(void **state) {
        static const char *const traps[] = { "fifo", "link", "symlink" };
        _cleanup_close_ int dir_fd = open_directory(state);

        for (size_t i = 0; i < ELEMENTSOF(traps); i++) {
                _cleanup_free_ char *victim = NULL, *data = NULL;

                assert_int_equal(file_replace_at(dir_fd, "victim", "unharmed", 8, 0600), 0);
                switch (i) {
                case 0:
                        assert_int_equal(mkfifoat(dir_fd, ".a.new", 0666), 0);
                        break;
                case 1:
                        assert_int_equal(linkat(dir_fd, "victim", dir_fd, ".a.new", 0), 0);
                        break;
                default:
                        assert_int_equal(symlinkat("victim", dir_fd, ".a.new"), 0);
                }
                assert_int_equal(file_replace_at(dir_fd, "a", "new", 3, 0644), 0);
                assert_int_equal(file_read_at(dir_fd, "a", 100, &data, NULL), 0);
                assert_int_equal(file_read_at(dir_fd, "victim", 100, &victim, NULL), 0);
                assert_row(streq(data, "new") && streq(victim, "unharmed"), i, traps[i]);
        }
        /* A directory is in the way, and stays. */
        assert_int_equal(mkdirat(dir_fd, ".a.new", 0700), 0);
        assert_int_equal(file_replace_at(dir_fd, "a", "newer", 5, 0644), -EISDIR);
}

/* Nobody writes to the pipe: who opened it as a file would wait. */
static void test_read_no_pipe(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *data = NULL, *path = NULL;

        assert_true(asprintf(&path, "%s/fifo", (char *) *state) > 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(file_read_at(dir_fd, "fifo", 10, &data, NULL), -ENOTSUP);
        assert_int_equal(file_read_at(dir_fd, ".", 10, &data, NULL), -EISDIR);
        assert_int_equal(file_open_regular(path), -ENOTSUP);
        assert_int_equal(file_open_given(path), -ENOTSUP);
        assert_int_equal(file_open_given(*state), -EISDIR);
        assert_string_equal(file_error_text(-ENOTSUP), "it is no regular file");
}

static void test_read_no_symlink(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        char *data = NULL;

        assert_int_equal(file_replace_at(dir_fd, "target", "x", 1, 0644), 0);
        assert_int_equal(symlinkat("target", dir_fd, "link"), 0);
        assert_int_equal(file_read_at(dir_fd, "link", 100, &data, NULL), -ELOOP);
        assert_int_equal(file_read_at(dir_fd, "none", 100, &data, NULL), -ENOENT);
        assert_null(data);
}

static void check_replace(int dir_fd, int (*replace)(int, const char *, const void *, size_t, mode_t)) {
        _cleanup_free_ char *data = NULL;
        struct stat st;
        mode_t umask_before = umask(077);

        assert_int_equal(replace(dir_fd, "a", "old content", 11, 0600), 0);
        assert_int_equal(replace(dir_fd, "a", "new", 3, 0644), 0);
        umask(umask_before);
        assert_int_equal(file_read_at(dir_fd, "a", 100, &data, NULL), 0);
        assert_string_equal(data, "new");
        assert_int_equal(fstatat(dir_fd, "a", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(faccessat(dir_fd, ".a.new", F_OK, 0), -1);

        /* A directory cannot be replaced; nothing temporary stays. */
        assert_int_equal(mkdirat(dir_fd, "d", 0700), 0);
        assert_true(replace(dir_fd, "d", "x", 1, 0600) < 0);
        assert_int_equal(faccessat(dir_fd, ".d.new", F_OK, 0), -1);
        assert_int_equal(unlinkat(dir_fd, "d", AT_REMOVEDIR), 0);
}

static void test_replace(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);

        check_replace(dir_fd, file_replace_at);
        check_replace(dir_fd, file_replace_unsynced_at);
}

static void test_publish(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *data = NULL;

        assert_int_equal(file_publish_at(dir_fd, "p", "first", 5, 0600), 0);
        assert_int_equal(file_publish_at(dir_fd, "p", "second", 6, 0600), 0);
        assert_int_equal(file_read_at(dir_fd, "p", 100, &data, NULL), 0);
        assert_string_equal(data, "first");
}

static void *read_slowly(void *fd) {
        size_t *total = calloc(1, sizeof(size_t));
        char buffer[1000];

        for (;;) {
                ssize_t n = read(*(int *) fd, buffer, sizeof(buffer));
                if (n <= 0)
                        return total;
                *total += (size_t) n;
        }
}

/* More than a pipe holds, through a non-blocking descriptor. */
static void test_write_all_nonblocking(_unused_ void **state) {
        const size_t size = 1000000;
        _cleanup_free_ char *data = calloc(1, size);
        pthread_t thread;
        void *total;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fd_set_nonblock(fds[1], true), 0);
        assert_int_equal(pthread_create(&thread, NULL, read_slowly, &fds[0]), 0);
        assert_int_equal(fd_write_all(fds[1], data, size), 0);
        close(fds[1]);
        assert_int_equal(pthread_join(thread, &total), 0);
        assert_int_equal(*(size_t *) total, size);
        free(total);
        close(fds[0]);
}

static void test_memfd(_unused_ void **state) {
        _cleanup_close_ int fd = memfd_new_sealed("test", "content", 7);
        _cleanup_free_ char *data = NULL;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, "x", 1), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(ftruncate(fd, 100), -1);
        assert_ptr_equal(mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
        assert_int_equal(fd_read_all(fd, 100, &data, NULL), 0);
        assert_string_equal(data, "content");
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

/* What was closed is not closed again when another has its number. */
static void test_close(_unused_ void **state) {
        int fd = memfd_new_sealed("test", "", 0), none = -ENOENT;

        assert_true(fd >= 0);
        errno = EXDEV;
        closep(&fd);
        closep(&none);
        assert_int_equal(errno, EXDEV);
        assert_int_equal(fd, -EBADF);
        assert_int_equal(none, -ENOENT);
}

static void test_duplicate(_unused_ void **state) {
        _cleanup_close_ int fd = memfd_new_sealed("test", "text", 4), copy = fd_duplicate(fd);
        _cleanup_free_ char *data = NULL;

        assert_true(copy >= 3 && copy != fd);
        assert_true(fcntl(copy, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(fd_read_all(copy, 100, &data, NULL), 0);
        assert_string_equal(data, "text");
        assert_int_equal(fd_duplicate(-EBADF), -EBADF);
}

static void test_move(_unused_ void **state) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), target = fcntl(fd, F_DUPFD_CLOEXEC, 200);

        assert_int_equal(fd_move_to(fd, target), target);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(fcntl(target, F_GETFD), 0);
        assert_int_equal(fd_set_cloexec(target, true), 0);
        assert_int_equal(fd_move_to(target, target), target);
        assert_int_equal(fcntl(target, F_GETFD), 0);

        /* consumed when it fails, too */
        assert_int_equal(fd_move_to(target, 1 << 30), -EBADF);
        assert_int_equal(fcntl(target, F_GETFD), -1);
}

static void test_write_string(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *data = NULL;

        assert_int_equal(file_write_string_at(dir_fd, "w", "x"), -ENOENT);
        assert_int_equal(file_replace_at(dir_fd, "w", "", 0, 0600), 0);
        assert_int_equal(file_write_string_at(dir_fd, "w", "value"), 0);
        assert_int_equal(file_read_at(dir_fd, "w", 100, &data, NULL), 0);
        assert_string_equal(data, "value");
}

static void test_read_number(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        static const struct {
                const char *text;
                int r;
                uint64_t number; /* 7: untouched */
        } table[] = {
                { "0", 0, 0 },
                { "42\n", 0, 42 },
                { "18446744073709551615\n", 0, UINT64_MAX },
                { "18446744073709551616\n", -ERANGE, 7 },
                { "max\n", -EINVAL, 7 },
                { "\n", -EINVAL, 7 },
                { "", -EINVAL, 7 },
                { "00000000000000000000000000000000000000000000000000000000000000001", -EFBIG, 7 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t number = 7;

                assert_int_equal(file_replace_at(dir_fd, "file", table[i].text, strlen(table[i].text), 0600), 0);
                assert_row(file_read_number_at(dir_fd, "file", &number) == table[i].r, i, table[i].text);
                assert_row(number == table[i].number, i, table[i].text);
        }
        assert_int_equal(file_read_number_at(dir_fd, "none", &(uint64_t){ 0 }), -ENOENT);
}

/* The same file, whatever became of its name, with an offset of its own. */
static void test_reopen(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        char c;

        make_file(dir_fd, "file", "ab", 0600);
        _cleanup_close_ int path_fd = openat(dir_fd, "file", O_PATH | O_CLOEXEC);
        assert_int_equal(unlinkat(dir_fd, "file", 0), 0);
        _cleanup_close_ int fd = fd_reopen(path_fd, O_RDONLY);
        _cleanup_close_ int again_fd = fd_reopen(fd, O_RDONLY | O_NONBLOCK);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
        assert_int_equal(fcntl(again_fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
        assert_true(read(fd, &c, 1) == 1 && c == 'a');
        assert_true(read(again_fd, &c, 1) == 1 && c == 'a');
        assert_int_equal(fd_reopen(fd, O_RDONLY | O_DIRECTORY), -ENOTDIR);
        assert_int_equal(fd_reopen(-EBADF, O_RDONLY), -ENOENT);
}

static void test_random_name(_unused_ void **state) {
        char one[RANDOM_NAME_BYTES], other[RANDOM_NAME_BYTES];

        assert_int_equal(random_name(one), 0);
        assert_int_equal(random_name(other), 0);
        assert_int_equal(strlen(one), RANDOM_NAME_BYTES - 1);
        assert_int_equal(strspn(one, "0123456789abcdef"), RANDOM_NAME_BYTES - 1);
        assert_string_not_equal(one, other);
}

static void test_read_sealed(_unused_ void **state) {
        _cleanup_close_ int sealed = memfd_new_sealed("test", "a\0b", 3),
                            plain = memfd_create("plain", MFD_ALLOW_SEALING);
        _cleanup_close_ int empty = memfd_new_sealed("test", "", 0), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *data = NULL, *nothing = NULL;
        size_t size = 9;

        assert_int_equal(memfd_read_sealed(null, 3, &data, &size), -EPERM);
        assert_int_equal(memfd_read_sealed(plain, 3, &data, &size), -EPERM);
        assert_int_equal(memfd_read_sealed(sealed, 2, &data, &size), -EFBIG);
        assert_int_equal(size, 9);
        assert_int_equal(memfd_read_sealed(empty, 0, &nothing, &size), 0);
        assert_int_equal(size, 0);
        assert_true(lseek(sealed, 2, SEEK_SET) == 2);
        assert_int_equal(memfd_read_sealed(sealed, 3, &data, &size), 0);
        assert_int_equal(size, 3);
        assert_memory_equal(data, "a\0b", 4);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_sealed),
        cmocka_unit_test_setup_teardown(test_read_all, setup_directory, teardown_directory),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_read_pipe),
        cmocka_unit_test_setup_teardown(test_read_no_symlink, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_replace, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_replace_beside_a_trap, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_read_no_pipe, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_publish, setup_directory, teardown_directory),
        cmocka_unit_test(test_write_all_nonblocking),
        cmocka_unit_test(test_memfd),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_duplicate),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_random_name),
        cmocka_unit_test_setup_teardown(test_read_number, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_reopen, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_write_string, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
