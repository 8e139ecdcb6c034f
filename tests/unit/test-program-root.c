/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/string.h"
#include "failing.h"
#include "machine/program.h"

#define NOT_HANDED_OVER 77

static int status_of(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* A copy of sleep(1), which is another program than ours. */
static char *copy_program(const char *directory) {
        _cleanup_free_ char *data = NULL;
        char *path = NULL;
        size_t size;

        _cleanup_close_ int from = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
        assert_int_equal(fd_read_all(from, 1 << 24, &data, &size), 0);
        assert_int_equal(string_printf(&path, "%s/sleep", directory), 0);
        _cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        assert_int_equal(fd_write_all(to, data, size), 0);
        return path;
}

/* It waits, as user @uid, and in a PID namespace of its own if @contained. */
static pid_t execute(const char *path, uid_t uid, bool contained) {
        int ready[2];
        char byte;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0) {
                if (contained && unshare(CLONE_NEWPID) < 0)
                        _exit(1);
                pid_t inner = contained ? fork() : 0;
                if (inner > 0) {
                        close(ready[0]);
                        close(ready[1]);
                        _exit(waitpid(inner, NULL, 0) < 0);
                }
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (setresuid(uid, uid, uid) < 0)
                        _exit(1);
                execl(path, path, "1000", NULL);
                _exit(1);
        }
        close(ready[1]);
        /* Closed by execve(). */
        assert_int_equal(read(ready[0], &byte, 1), 0);
        close(ready[0]);
        return pid;
}

/* What becomes of a process that hands over: sleep(1) without arguments fails. */
static int hand_over(const MachineDirectory *directory) {
        pid_t pid = fork();

        if (pid == 0) {
                _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
                (void) dup2(null_fd, STDERR_FILENO);
                _exit(program_hand_over(directory) == 0 ? NOT_HANDED_OVER : 2);
        }
        return status_of(pid);
}

/* What program_note() writes for it. */
static void note(const MachineDirectory *directory, const char *path) {
        struct statx stx;
        char identity[128];

        assert_int_equal(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &stx), 0);
        snprintf(identity, sizeof(identity), "%u:%u %llu %llu %lld.%09u", stx.stx_dev_major, stx.stx_dev_minor,
                 (unsigned long long) stx.stx_ino, (unsigned long long) stx.stx_size, (long long) stx.stx_mtime.tv_sec,
                 stx.stx_mtime.tv_nsec);
        assert_int_equal(machine_file_write(directory, "program", identity), 0);
}

static void test_hand_over(void **state) {
        static const struct {
                uid_t uid;
                bool contained, trusted;
        } table[] = { { 0, false, true }, { 65534, false, false }, { 0, true, false } };
        MachineDirectory directory = { *state, open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        _cleanup_free_ char *path = NULL;

        if (geteuid() != 0)
                skip();
        assert_int_equal(chmod(*state, 0755), 0);
        path = copy_program(*state);
        assert_int_equal(hand_over(&directory), NOT_HANDED_OVER); /* nothing is noted */
        assert_int_equal(program_note(&directory), 0);
        assert_int_equal(hand_over(&directory), NOT_HANDED_OVER); /* it is ours */
        note(&directory, path);
        assert_int_equal(hand_over(&directory), NOT_HANDED_OVER); /* nobody executes it */
        failing_readdir(3, EIO);
        assert_int_equal(hand_over(&directory), 2); /* that is not known */
        failing_readdir(0, 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                pid_t pid = execute(path, table[i].uid, table[i].contained);
                int status = hand_over(&directory);

                assert_row(status == (table[i].trusted ? 1 : NOT_HANDED_OVER), i, path);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(status_of(pid), -SIGKILL);
        }
        close(directory.fd);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hand_over, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
