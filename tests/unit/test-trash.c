/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"
#include "storage/trash.h"

/* A directory @name with some content that only whoever knows layers would expect, and some that nobody would. */
static void make_layer(const char *root, const char *name) {
        static const char *const directories[] = { "", "upper", "upper/d", "work", "work/work", "root", "odd" };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_free_ char *path = NULL;

                assert_int_equal(string_printf(&path, "%s/%s/%s", root, name, directories[i]), 0);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        for (unsigned i = 0; i < 30; i++) {
                _cleanup_free_ char *path = NULL;

                assert_int_equal(string_printf(&path, "%s/%s/upper/d/%u", root, name, i), 0);
                _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                assert_true(fd >= 0);
        }
}

/* The same, in the trash. */
static void throw_away(const char *root, int trash_fd, const char *name) {
        _cleanup_free_ char *path = NULL;

        make_layer(root, name);
        assert_int_equal(string_printf(&path, "%s/%s", root, name), 0);
        assert_int_equal(trash_take(trash_fd, AT_FDCWD, path), 0);
        assert_int_equal(access(path, F_OK), -1);
}

static size_t count(int trash_fd) {
        _cleanup_strv_ char **names = NULL;

        assert_int_equal(trash_list(trash_fd, &names), 0);
        return strv_length(names);
}

static void test_take_and_empty(void **state) {
        _cleanup_strv_ char **names = NULL, **removed = NULL;
        struct stat st;

        assert_int_equal(trash_open(*state, false), -ENOENT);
        _cleanup_close_ int trash_fd = trash_open(*state, true);
        assert_true(trash_fd >= 0);
        assert_int_equal(fstat(trash_fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_false(trash_waits(trash_fd));

        /* One name may come twice: a job's next attempt has the name of the first. */
        throw_away(*state, trash_fd, "job");
        throw_away(*state, trash_fd, "job");
        assert_true(trash_waits(trash_fd));
        assert_int_equal(trash_list(trash_fd, &names), 0);
        assert_int_equal(strv_length(names), 2);
        assert_non_null(startswith(names[0], "job."));
        assert_non_null(startswith(names[1], "job."));

        assert_int_equal(trash_empty(trash_fd, USEC_INFINITY, &removed), 0);
        assert_int_equal(strv_length(removed), 2);
        assert_int_equal(count(trash_fd), 0);
        assert_false(trash_waits(trash_fd));
}

/* What is missing, or on another file system, stays where it is, and the error says so. */
static void test_take_fails(void **state) {
        _cleanup_close_ int trash_fd = trash_open(*state, true);

        assert_true(trash_fd >= 0);
        assert_int_equal(trash_take(trash_fd, AT_FDCWD, "/nonexistent/x"), -ENOENT);
        assert_int_equal(trash_take(trash_fd, AT_FDCWD, "/proc/self"), -EXDEV);
        assert_int_equal(count(trash_fd), 0);
}

/* Whoever has no time left leaves the rest, and it is removed later. */
static void test_deadline(void **state) {
        _cleanup_close_ int trash_fd = trash_open(*state, true);

        throw_away(*state, trash_fd, "a");
        assert_int_equal(trash_empty(trash_fd, 0, NULL), -ETIME);
        assert_int_equal(count(trash_fd), 1);
        assert_int_equal(trash_empty(trash_fd, USEC_INFINITY, NULL), 0);
        assert_int_equal(count(trash_fd), 0);
}

/* What somebody else is removing is left to him; what cannot be removed is no reason to leave the others. */
static void test_others(void **state) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int trash_fd = trash_open(*state, true);

        throw_away(*state, trash_fd, "held");
        assert_int_equal(trash_list(trash_fd, &names), 0);
        _cleanup_close_ int held_fd = openat(trash_fd, names[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(held_fd, LOCK_EX | LOCK_NB), 0);
        throw_away(*state, trash_fd, "free");
        assert_int_equal(trash_empty(trash_fd, USEC_INFINITY, NULL), 0);
        assert_int_equal(count(trash_fd), 1);
        assert_int_equal(flock(held_fd, LOCK_UN), 0);
        assert_int_equal(trash_empty(trash_fd, USEC_INFINITY, NULL), 0);
        assert_int_equal(count(trash_fd), 0);
}

/* One process does it in the background; another one that is started meanwhile has nothing to do. */
static void test_alone(void **state) {
        _cleanup_close_ int trash_fd = trash_open(*state, true);
        _cleanup_close_ int lock_fd = trash_open(*state, false);

        throw_away(*state, trash_fd, "a");
        assert_int_equal(flock(lock_fd, LOCK_EX | LOCK_NB), 0);
        assert_false(trash_waits(trash_fd));
        assert_int_equal(trash_empty_alone(trash_fd), 0);
        assert_int_equal(count(trash_fd), 1);
        assert_int_equal(flock(lock_fd, LOCK_UN), 0);
        assert_int_equal(trash_empty_alone(trash_fd), 0);
        assert_int_equal(count(trash_fd), 0);
}

/* Several at once, some of them killed: all of it goes, and nothing beside it. */
static void test_together(void **state) {
        _cleanup_close_ int trash_fd = trash_open(*state, true);
        pid_t children[6];

        make_layer(*state, "bystander");
        for (unsigned i = 0; i < 20; i++) {
                char name[16];

                snprintf(name, sizeof(name), "job%u", i);
                throw_away(*state, trash_fd, name);
        }
        for (size_t i = 0; i < ELEMENTSOF(children); i++) {
                children[i] = fork();
                assert_true(children[i] >= 0);
                if (children[i] == 0)
                        _exit((i % 2 ? trash_empty_alone(trash_fd) : trash_empty(trash_fd, USEC_INFINITY, NULL)) != 0);
        }
        (void) kill(children[0], SIGKILL);
        (void) kill(children[1], SIGKILL);
        for (size_t i = 0; i < ELEMENTSOF(children); i++) {
                int status;

                assert_int_equal(waitpid(children[i], &status, 0), children[i]);
                assert_true(i < 2 || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        }
        assert_int_equal(trash_empty(trash_fd, USEC_INFINITY, NULL), 0);
        assert_int_equal(count(trash_fd), 0);
        _cleanup_free_ char *path = NULL;
        assert_int_equal(string_printf(&path, "%s/bystander/upper/d/29", (const char *) *state), 0);
        assert_int_equal(access(path, F_OK), 0);
}

/* Anything may have got there, and a link leads nowhere. */
static void test_strange_entries(void **state) {
        _cleanup_close_ int trash_fd = trash_open(*state, true);
        _cleanup_free_ char *path = NULL;

        make_layer(*state, "precious");
        assert_int_equal(symlinkat("../precious", trash_fd, "link"), 0);
        assert_int_equal(mkfifoat(trash_fd, "fifo", 0600), 0);
        throw_away(*state, trash_fd, "job");
        assert_int_equal(trash_empty(trash_fd, USEC_INFINITY, NULL), 0);
        assert_int_equal(count(trash_fd), 0);
        assert_int_equal(string_printf(&path, "%s/precious/upper/d/29", (const char *) *state), 0);
        assert_int_equal(access(path, F_OK), 0);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_take_and_empty, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_take_fails, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_deadline, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_others, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_alone, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_together, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_strange_entries, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
