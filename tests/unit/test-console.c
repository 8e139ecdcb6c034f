/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/fd.h"
#include "base/string.h"
#include "machine/console.h"

#define TAIL_BYTES sizeof(((Console *) NULL)->tail)

/* What a container prints, and who reads it. */
typedef struct Lab {
        MachineDirectory directory;
        Console console;
        int fds[2];
} Lab;

static void lab_done(Lab *lab) {
        machine_directory_done(&lab->directory);
        closep(&lab->fds[0]);
        closep(&lab->fds[1]);
}

static void lab_init(Lab *lab, const char *path) {
        *lab = (Lab){ .directory = { .path = strdup(path), .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) },
                      .console = { .directory = &lab->directory, .forward_fd = -EBADF } };
        assert_true(lab->directory.fd >= 0);
        assert_int_equal(pipe2(lab->fds, O_CLOEXEC), 0);
        assert_int_equal(fd_set_nonblock(lab->fds[0], true), 0);
}

/* What was kept in the file must be the end of @text. */
static void check_saved(const Lab *lab, const char *text, size_t size) {
        size_t kept = MIN(size, TAIL_BYTES), saved_size;
        _cleanup_free_ char *saved = NULL;

        console_save(&lab->console);
        assert_int_equal(file_read_at(lab->directory.fd, MACHINE_FILE_CONSOLE, 1 << 20, &saved, &saved_size), 0);
        assert_int_equal(saved_size, kept);
        assert_memory_equal(saved, text + size - kept, kept);
}

/* However much and in whatever pieces: the end is kept. Most of a lot comes in large pieces, and only the end in small ones. */
static void test_tail(void **state) {
        enum { N_PIECES = 500, LARGE = 4096 };
        static const size_t totals[] = { 1, 100, TAIL_BYTES - 1, TAIL_BYTES, TAIL_BYTES + 1, 5 * TAIL_BYTES + 17 };
        static const size_t pieces[] = { 1, 7, 4095, 4096, 4097, 10000, 60000 };

        for (size_t i = 0; i < ELEMENTSOF(totals); i++)
                for (size_t j = 0; j < ELEMENTSOF(pieces); j++) {
                        _cleanup_(lab_done) Lab lab;
                        _cleanup_free_ char *text = malloc(totals[i]);

                        lab_init(&lab, *state);
                        for (size_t n = 0; n < totals[i]; n++)
                                text[n] = (char) (n % 251);
                        for (size_t n = 0, size; n < totals[i]; n += size) {
                                size_t left = totals[i] - n;

                                size = MIN(left, left > N_PIECES * pieces[j] ? MAX(pieces[j], LARGE) : pieces[j]);
                                assert_int_equal(fd_write_all(lab.fds[1], text + n, size), 0);
                                assert_int_equal(console_read(&lab.console, lab.fds[0]), 1);
                        }
                        close(TAKE_FD(lab.fds[1]));
                        assert_int_equal(console_read(&lab.console, lab.fds[0]), 0);
                        check_saved(&lab, text, totals[i]);
                }
}

static void test_ends(void **state) {
        _cleanup_(lab_done) Lab lab;

        lab_init(&lab, *state);
        assert_int_equal(console_read(&lab.console, lab.fds[0]), 1); /* nothing yet */
        close(TAKE_FD(lab.fds[1]));
        assert_int_equal(console_read(&lab.console, lab.fds[0]), 0);
        assert_int_equal(console_read(&lab.console, lab.directory.fd), -EISDIR);

        /* There was nothing: no empty file. */
        console_save(&lab.console);
        assert_int_equal(faccessat(lab.directory.fd, MACHINE_FILE_CONSOLE, F_OK, 0), -1);
}

static void test_saved_twice(void **state) {
        _cleanup_(lab_done) Lab lab;
        _cleanup_free_ char *text = NULL;

        lab_init(&lab, *state);
        assert_int_equal(fd_write_all(lab.fds[1], "guest\n", 6), 0);
        assert_int_equal(console_read(&lab.console, lab.fds[0]), 1);
        console_save(&lab.console);
        console_save(&lab.console);
        text = machine_file_read(&lab.directory, MACHINE_FILE_CONSOLE);
        assert_string_equal(text, "guest\n");
}

/* Everything is passed on, also what is not kept, and a listener that went away does not matter. */
static void test_forward(void **state) {
        const size_t size = 3 * TAIL_BYTES;
        _cleanup_(lab_done) Lab lab;
        _cleanup_free_ char *text = malloc(size), *passed = NULL;
        _cleanup_close_ int file = openat(AT_FDCWD, *state, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        size_t passed_size;

        assert_true(file >= 0);
        lab_init(&lab, *state);
        lab.console.forward_fd = file;
        memset(text, 'x', size);
        memcpy(text, "begin", 5);
        assert_int_equal(fd_write_all(lab.fds[1], text, size), 0);
        assert_int_equal(console_read(&lab.console, lab.fds[0]), 1);
        assert_int_equal(lseek(file, 0, SEEK_SET), 0);
        assert_int_equal(fd_read_all(file, size, &passed, &passed_size), 0);
        assert_int_equal(passed_size, size);
        assert_memory_equal(passed, text, size);

        lab.console.forward_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        assert_int_equal(fd_write_all(lab.fds[1], "end", 3), 0);
        assert_int_equal(console_read(&lab.console, lab.fds[0]), 1);
        close(lab.console.forward_fd);
        memcpy(text + size - 3, "end", 3);
        check_saved(&lab, text, size);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tail, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_ends, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_saved_twice, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_forward, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
