/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/bundle.h"
#include "base/fd.h"
#include "base/string.h"
#include "failing.h"
#include "files.h"
#include "wire/bundle.h"

/* What a job's artifacts and caches are packed from, in a process of its own, as in a step: with the list of files on its
 * standard input, and the bundle on its standard output. */

typedef struct Failure {
        int readdir_error, openat2_error;
        unsigned entries, times;
} Failure;

/* Runs `agent list` if @input_fd is negative, else `agent pack`. Returns its exit status. */
static int run(const char *directory, int input_fd, int output_fd, const Failure *failure) {
        char *paths[] = { NULL };
        int status;

        pid_t pid = fork();
        if (pid == 0) {
                _cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

                if (dup2(input_fd < 0 ? null_fd : input_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
                    dup2(null_fd, STDERR_FILENO) < 0)
                        _exit(99);
                failing_readdir(failure->entries, failure->readdir_error);
                failing_openat2(failure->times, failure->openat2_error);
                _exit(input_fd < 0 ? agent_list(directory, paths) : agent_pack(directory));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* The paths in a bundle, with a blank behind each: 0; or -EBADMSG if it has no end. */
static int read_paths(int fd, char ret[static 256]) {
        _cleanup_bundle_reader_ BundleReader reader = { 0 };
        static BundleEntry entry;
        int r;

        assert_true(lseek(fd, 0, SEEK_SET) == 0);
        assert_int_equal(bundle_reader_init(&reader, fd), 0);
        for (*ret = 0; (r = bundle_next(&reader, &entry)) > 0;) {
                assert_true(strlen(ret) + strlen(entry.path) + 2 < 256);
                strcat(strcat(ret, entry.path), " ");
        }
        return r;
}

static int new_file(const char *content, size_t size) {
        int fd = memfd_create("test", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, content, size), 0);
        assert_true(lseek(fd, 0, SEEK_SET) == 0);
        return fd;
}

static void make_tree(int dir_fd) {
        assert_int_equal(mkdirat(dir_fd, "d", 0755), 0);
        make_file(dir_fd, "d/file", "text", 0644);
        make_file(dir_fd, "file", "text", 0644);
        assert_int_equal(symlinkat("/", dir_fd, "out"), 0);
        assert_int_equal(symlinkat("loop", dir_fd, "loop"), 0);
        assert_int_equal(symlinkat("d", dir_fd, "in"), 0);
        assert_int_equal(symlinkat("../d", dir_fd, "d/again"), 0);
}

#define LONG_NAME                                                                                                     \
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
        "12345678901234567890123456789012345678901234567890"

/* What there is goes into the bundle, whatever there is not, and wherever symlinks lead. */
static void test_pack(void **state) {
        static const char list[] = "d/file\0missing/file\0file/file\0out/etc/passwd\0loop/file\0" LONG_NAME
                                   "/file\0in/file\0missing\0" LONG_NAME "\0d/again/file\0loop\0file";
        _cleanup_close_ int dir_fd = open_directory(state), input_fd = new_file(list, sizeof(list));
        _cleanup_close_ int output_fd = new_file("", 0);
        char paths[256];

        make_tree(dir_fd);
        assert_int_equal(run(*state, input_fd, output_fd, &(Failure){ 0 }), 0);
        assert_int_equal(read_paths(output_fd, paths), 0);
        assert_string_equal(paths, "d/file in/file d/again/file loop file ");
}

/* A bundle without a file that is there is none. */
static void test_pack_fails(void **state) {
        static const char list[] = "d/file\0file";
        static const struct {
                const char *text;
                Failure failure;
                bool whole;
        } table[] = {
                { "nothing", { 0 }, true },
                { "renamed meanwhile", { .openat2_error = EAGAIN, .times = 3 }, true },
                { "no descriptor", { .openat2_error = EMFILE, .times = 1 }, false },
                { "no memory", { .openat2_error = ENOMEM, .times = 1 }, false },
                { "nothing there", { .openat2_error = ENOENT, .times = 1 }, true },
        };
        _cleanup_close_ int dir_fd = open_directory(state);
        char paths[256];

        make_tree(dir_fd);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_close_ int input_fd = new_file(list, sizeof(list)), output_fd = new_file("", 0);

                assert_row((run(*state, input_fd, output_fd, &table[i].failure) == 0) == table[i].whole, i,
                           table[i].text);
                assert_row(read_paths(output_fd, paths) == (table[i].whole ? 0 : -EBADMSG), i, table[i].text);
                if (table[i].whole)
                        assert_row(streq(paths, table[i].failure.openat2_error == ENOENT ? "file " : "d/file file "), i,
                                   paths);
        }

        /* The list cannot be read: the directory stands for a disk with errors. */
        _cleanup_close_ int output_fd = new_file("", 0);
        assert_int_equal(run(*state, dir_fd, output_fd, &(Failure){ 0 }), EXIT_FAILURE);
        assert_int_equal(read_paths(output_fd, paths), -EBADMSG);
}

static void test_list_fails(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);

        make_tree(dir_fd);
        for (unsigned entries = 0; entries < 3; entries++) {
                _cleanup_close_ int output_fd = new_file("", 0);
                const Failure failure = { .readdir_error = EIO, .entries = entries };
                char paths[256];

                assert_int_equal(run(*state, -EBADF, output_fd, &failure), EXIT_FAILURE);
                assert_int_equal(read_paths(output_fd, paths), -EBADMSG);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pack, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_pack_fails, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_list_fails, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
