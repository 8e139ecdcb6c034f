/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"

#define SHELL(script) ((char *[]){ (char *) "sh", (char *) "-c", (char *) (script), NULL })

static void test_run(_unused_ void **state) {
        static const struct {
                const char *script;
                int result;
        } table[] = {
                { "exit 0", 0 },
                { "exit 42", 42 },
                { "exit 255", 255 },
                { "kill -9 $$", 128 + SIGKILL },
                { "kill -15 $$", 128 + SIGTERM },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Spawn spawn = SPAWN_INHERIT;

                spawn.argv = SHELL(table[i].script);
                assert_row(process_run(&spawn) == table[i].result, i, table[i].script);
        }
}

/* Who starts later has a later start, and who is gone has none. */
static void test_start_time(_unused_ void **state) {
        uint64_t ours, parents, childs = 0;
        int status;

        assert_int_equal(process_start_time(getpid(), &ours), 0);
        assert_int_equal(process_start_time(getppid(), &parents), 0);
        assert_true(ours > 0 && parents <= ours);
        pid_t pid = fork();
        if (pid == 0) {
                /* The name of a process can look like the rest of the line. */
                (void) prctl(PR_SET_NAME, ") R 1 (2 3", 0, 0, 0);
                _exit(process_start_time(getpid(), &childs) < 0 || childs < ours);
        }
        assert_int_equal(process_wait(pid, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(process_start_time(pid, &childs), -ESRCH);
}

/* The start is found behind whatever the process calls itself. */
static void test_parse_start(_unused_ void **state) {
        static const struct {
                const char *stat;
                bool valid;
                uint64_t start;
        } table[] = {
                { "1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24\n", true, 22 },
                { "1 (a) b) (c) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 18446744073709551615 23", true,
                  UINT64_MAX },
                { "1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 0", true, 0 },
                { "1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21", false, 7 },
                { "1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 x 23", false, 7 },
                { "1 a S 4", false, 7 },
                { "", false, 7 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                uint64_t start = 7;

                assert_row(process_parse_start(table[i].stat, &start) == table[i].valid, i, table[i].stat);
                assert_row(start == table[i].start, i, table[i].stat);
        }
}

/* A program that cannot be started is told from one that fails. */
static void test_no_program(_unused_ void **state) {
        static const struct {
                const char *program;
                int error;
        } table[] = {
                { "no-such-program-anywhere", -ENOENT },
                { "/no/such/program", -ENOENT },
                { "/etc", -EACCES },
        };

        setenv("PATH", "/usr/bin:/bin", 1); /* no directory that we may not search */
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Spawn spawn = SPAWN_INHERIT;

                spawn.argv = (char *[]){ (char *) table[i].program, NULL };
                assert_row(process_run(&spawn) == table[i].error, i, table[i].program);
        }
}

static void test_capture(_unused_ void **state) {
        _cleanup_free_ char *output = NULL, *empty = NULL, *untouched = NULL;
        Spawn spawn = SPAWN_INHERIT;

        spawn.argv = SHELL("printf 'some output'; exit 3");
        assert_int_equal(process_capture(&spawn, 11, &output), 3);
        assert_string_equal(output, "some output");

        spawn.argv = SHELL("exit 0");
        assert_int_equal(process_capture(&spawn, 100, &empty), 0);
        assert_string_equal(empty, "");

        spawn.argv = SHELL("exec yes");
        assert_int_equal(process_capture(&spawn, 100000, &untouched), -EFBIG);
        assert_null(untouched);
}

/* What the child sees: signals as at login, whatever we ignore or block; its environment; stdin is /dev/null. */
static void test_child_state(_unused_ void **state) {
        _cleanup_free_ char *output = NULL;
        sigset_t blocked, before;
        Spawn spawn = SPAWN_INHERIT;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        sigprocmask(SIG_BLOCK, &blocked, &before);
        signal(SIGPIPE, SIG_IGN);
        spawn.argv = SHELL("grep -E '^Sig(Blk|Ign)' /proc/self/status; echo \"$A\"; readlink /proc/self/fd/0");
        spawn.envp = (char *[]){ (char *) "A=value", (char *) "PATH=/usr/bin:/bin", NULL };
        int r = process_capture(&spawn, 1000, &output);
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);

        assert_int_equal(r, 0);
        assert_string_equal(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nvalue\n/dev/null\n");
}

/* Descriptors that sit on each other's places. */
static void test_swapped_stdio(_unused_ void **state) {
        int out[2], err[2];
        char buffer[16] = "";

        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        assert_int_equal(pipe2(err, O_CLOEXEC), 0);

        /* In a process of its own, for it changes its own stdout and stderr. */
        pid_t pid = fork();
        if (pid == 0) {
                Spawn spawn = { .argv = SHELL("printf out; printf err >&2"),
                                .stdin_fd = -EBADF,
                                .stdout_fd = STDERR_FILENO,
                                .stderr_fd = STDOUT_FILENO };
                if (dup2(err[1], STDOUT_FILENO) < 0 || dup2(out[1], STDERR_FILENO) < 0)
                        _exit(1);
                _exit(process_run(&spawn) != 0);
        }
        int status = -1;
        assert_int_equal(process_wait(pid, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(read(out[0], buffer, sizeof(buffer)), 3);
        assert_memory_equal(buffer, "out", 3);
        assert_int_equal(read(err[0], buffer, sizeof(buffer)), 3);
        assert_memory_equal(buffer, "err", 3);
        for (unsigned i = 0; i < 2; i++) {
                close(out[i]);
                close(err[i]);
        }
}

static void test_pidfd(_unused_ void **state) {
        _cleanup_close_ int pidfd = -EBADF;
        Spawn spawn = SPAWN_INHERIT;
        pid_t pid;
        int status;

        spawn.argv = SHELL("exec sleep 1000");
        assert_int_equal(process_spawn(&spawn, &pid, &pidfd), 0);
        assert_int_equal(pidfd_wait(pidfd, 1000), -ETIMEDOUT);
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(pidfd_wait(pidfd, USEC_INFINITY), 0);
        assert_int_equal(process_wait(pid, &status), 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* Of processes that are not ours to wait for; here they are, to see each state. */
static void test_pidfd_exit_status(_unused_ void **state) {
        static const struct {
                const char *script;
                int status;
        } table[] = {
                { "exit 0", 0 },
                { "exit 7", 7 << 8 },
                { "kill -9 $$", SIGKILL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_close_ int pidfd = -EBADF;
                Spawn spawn = SPAWN_INHERIT;
                int status, told = -1;
                pid_t pid;

                spawn.argv = SHELL((char *) table[i].script);
                assert_int_equal(process_spawn(&spawn, &pid, &pidfd), 0);
                assert_true(fd_is_pidfd(pidfd));
                assert_int_equal(pidfd_wait(pidfd, USEC_INFINITY), 0);
                assert_row(pidfd_exit_status(pidfd, 1000, &told) == -ENODATA && told == -1, i, "not waited for");
                assert_int_equal(process_wait(pid, &status), 0);
                assert_int_equal(status, table[i].status);
                /* Linux before 6.15 does not tell. */
                if (pidfd_exit_status(pidfd, USEC_INFINITY, &told) >= 0)
                        assert_row(told == status, i, table[i].script);
                else
                        assert_row(told == -1, i, table[i].script);
        }
}

static void test_fd_is_pidfd(_unused_ void **state) {
        _cleanup_close_ int ours = pidfd_open_cloexec(getpid()), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int memory = memfd_new_sealed("anon_inode:[pidfd]", "", 0);

        assert_true(fd_is_pidfd(ours));
        assert_false(fd_is_pidfd(file));
        assert_false(fd_is_pidfd(memory));
        assert_false(fd_is_pidfd(-EBADF));
}

static void test_pidfd_signal(_unused_ void **state) {
        _cleanup_close_ int pidfd = -EBADF;
        Spawn spawn = SPAWN_INHERIT;
        pid_t pid;
        int status;

        spawn.argv = SHELL("exec sleep 1000");
        assert_int_equal(process_spawn(&spawn, &pid, &pidfd), 0);
        assert_int_equal(pidfd_signal(pidfd, SIGTERM), 0);
        assert_int_equal(process_wait(pid, &status), 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        assert_int_equal(pidfd_signal(pidfd, SIGTERM), -ESRCH);
}

/* The parent ends at once; the child must not outlive it. The pipe, which only the child holds, shows its end. */
static void test_die_with_parent(_unused_ void **state) {
        int fds[2];
        char byte;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid_t parent = fork();
        if (parent == 0) {
                Spawn spawn = { .argv = SHELL("exec sleep 1000"),
                                .stdin_fd = -EBADF,
                                .stdout_fd = fds[1],
                                .stderr_fd = STDERR_FILENO,
                                .die_with_parent = true };
                pid_t pid;
                _exit(process_spawn(&spawn, &pid, NULL) < 0);
        }
        close(fds[1]);
        int status = -1;
        assert_int_equal(process_wait(parent, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(read(fds[0], &byte, 1), 0);
        close(fds[0]);
}

static void test_program_exists(_unused_ void **state) {
        static const struct {
                const char *path, *name;
                bool exists;
        } table[] = {
                { "/usr/bin:/bin", "sh", true },
                { "/nowhere:/usr/bin:/bin", "sh", true },
                { "/nowhere", "sh", false },
                { "", "sh", true }, /* the default path */
                { NULL, "sh", true },
                { "/nowhere", "/bin/sh", true },
                { "/usr/bin:/bin", "/bin/no-such-program", false },
                { "/", "usr", false },       /* a directory */
                { "/etc", "passwd", false }, /* not executable */
                { ":", "sh", false },
        };
        _cleanup_free_ char *before = getenv("PATH") ? strdup(getenv("PATH")) : NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                if (table[i].path)
                        setenv("PATH", table[i].path, 1);
                else
                        unsetenv("PATH");
                assert_row(program_exists(table[i].name) == table[i].exists, i, table[i].name);
        }
        if (before)
                setenv("PATH", before, 1);
}

/* Neither a directory of that name nor PATH counts. */
static void test_program_find_in(void **state) {
        _cleanup_close_ int dir_fd = open_directory(state);
        _cleanup_free_ char *path = NULL, *expected = NULL, *found = NULL;

        assert_int_equal(mkdirat(dir_fd, "a", 0755), 0);
        assert_int_equal(mkdirat(dir_fd, "a/program", 0755), 0);
        assert_int_equal(mkdirat(dir_fd, "b", 0755), 0);
        assert_int_equal(string_printf(&path, "%s/a:%s/b", (char *) *state, (char *) *state), 0);
        assert_int_equal(string_printf(&expected, "%s/b/program", (char *) *state), 0);
        assert_int_equal(program_find_in(path, "program", &found), -ENOENT);
        make_file(dir_fd, "b/program", "", 0644);
        assert_int_equal(program_find_in(path, "program", &found), -ENOENT);
        assert_int_equal(fchmodat(dir_fd, "b/program", 0755, 0), 0);
        assert_int_equal(program_find_in(path, "program", &found), 0);
        assert_string_equal(found, expected);
        assert_int_equal(program_find_in(path, "sh", &found), -ENOENT);
}

static void test_signal_name(_unused_ void **state) {
        assert_string_equal(signal_name(SIGTERM), "SIGTERM");
        assert_string_equal(signal_name(SIGKILL), "SIGKILL");
        assert_string_equal(signal_name(77), "signal 77");
}

static void test_clock(_unused_ void **state) {
        uint64_t now = clock_now_usec();

        assert_true(clock_deadline(USEC_INFINITY) == USEC_INFINITY);
        assert_true(clock_deadline(USEC_INFINITY - 1) == USEC_INFINITY);
        assert_true(clock_deadline(0) >= now);
        assert_int_equal(clock_poll_timeout(USEC_INFINITY), -1);
        assert_int_equal(clock_poll_timeout(0), 0);
        assert_int_equal(clock_poll_timeout(now), 0);
        assert_int_equal(clock_poll_timeout(USEC_INFINITY - 1), INT32_MAX);
        clock_sleep_usec(2000);
        assert_true(clock_now_usec() >= now + 2000);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_start_time),
        cmocka_unit_test(test_parse_start),
        cmocka_unit_test(test_no_program),
        cmocka_unit_test(test_capture),
        cmocka_unit_test(test_child_state),
        cmocka_unit_test(test_swapped_stdio),
        cmocka_unit_test(test_pidfd),
        cmocka_unit_test(test_pidfd_exit_status),
        cmocka_unit_test(test_fd_is_pidfd),
        cmocka_unit_test(test_pidfd_signal),
        cmocka_unit_test(test_die_with_parent),
        cmocka_unit_test(test_program_exists),
        cmocka_unit_test_setup_teardown(test_program_find_in, setup_directory, teardown_directory),
        cmocka_unit_test(test_signal_name),
        cmocka_unit_test(test_clock),
};
UNIT_FILE(tests);
