/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/fd.h"
#include "terminal/ask.h"

#define QUESTION "Secret? "

/* Asks on the terminal @terminal_fd in another process, whose stderr is @stderr_fd: 0 if the answer is "word". */
static pid_t start_asking(int terminal_fd, int stderr_fd) {
        pid_t pid = fork();
        char answer[64];
        int signal = 0;

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(terminal_fd, STDIN_FILENO) < 0 || dup2(stderr_fd, STDERR_FILENO) < 0 ||
            ask_secret(QUESTION, -EBADF, answer, sizeof(answer), &signal) < 0)
                _exit(EXIT_FAILURE);
        _exit(strcmp(answer, "word") == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Returns when process @pid waits until it can write to its stderr. */
static void wait_for_writer(pid_t pid) {
        char path[64], expected[64], text[64];

        snprintf(path, sizeof(path), "/proc/%d/syscall", (int) pid);
        snprintf(expected, sizeof(expected), "%d 0x%x ", SYS_write, STDERR_FILENO);
        do {
                _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
                ssize_t n = read(fd, text, sizeof(text) - 1);
                assert_true(n > 0);
                text[n] = 0;
                usleep(1000);
        } while (strncmp(text, expected, strlen(expected)) != 0);
}

static bool has_echo(int terminal_fd) {
        struct termios settings;

        assert_int_equal(tcgetattr(terminal_fd, &settings), 0);
        return settings.c_lflag & ECHO;
}

/* Who answers as soon as the question is there is neither shown what was typed, nor not heard. */
static void test_silent_before_the_question(void **state) {
        int terminal, user, fds[2], status;
        char c;

        (void) state;
        assert_int_equal(openpty(&user, &terminal, NULL, NULL, NULL), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        while (write(fds[1], "x", 1) == 1)
                ;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                assert_int_equal(fcntl(fds[i], F_SETFL, 0), 0);
        assert_true(has_echo(terminal));
        pid_t pid = start_asking(terminal, fds[1]);
        wait_for_writer(pid);
        assert_false(has_echo(terminal));
        assert_int_equal(write(user, "word\n", 5), 5);

        close(fds[1]);
        while (read(fds[0], &c, 1) != 0)
                ;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_true(has_echo(terminal));
        close(fds[0]);
        close(user);
        close(terminal);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_before_the_question),
};
UNIT_FILE(tests);
