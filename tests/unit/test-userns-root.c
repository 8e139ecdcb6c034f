/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "container/userns.h"

#define RANGE 65536
#define ROUNDS 400

static void test_maps(void **state) {
        (void) state;
        _cleanup_close_ int all_fd = userns_open(RANGE, RANGE);
        _cleanup_close_ int owner_fd = userns_open_owner(1000, 1001, RANGE);

        assert_true(all_fd >= 0 && owner_fd >= 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

/* Whoever opens one may be killed at any moment: no process stays that holds what it had open, here a pipe. */
static void test_killed(void **state) {
        (void) state;
        for (unsigned i = 0; i < ROUNDS; i++) {
                int fds[2], status;

                assert_int_equal(pipe(fds), 0);
                pid_t pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        close_range(0, 2, 0); /* of a process that stays, whoever runs this test would wait for them */
                        for (;;)
                                close(userns_open(RANGE, RANGE));
                }
                _cleanup_close_ int end_fd = fds[0];
                close(fds[1]);
                clock_sleep_usec(i * 5);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(process_wait(pid, &status), 0);
                struct pollfd poll_fd = { .fd = end_fd };
                assert_int_equal(poll(&poll_fd, 1, 60 * 1000), 1);
                assert_true(poll_fd.revents & POLLHUP);
        }
}

static const char *lacks(void) {
        return geteuid() != 0 ? "root" : NULL;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_killed),
};
UNIT_FILE(tests, .lacks = lacks);
