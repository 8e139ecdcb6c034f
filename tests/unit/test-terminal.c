/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "machine/terminal.h"

static void open_pair(int *ret_master, int *ret_slave) {
        int locked = 0;

        *ret_master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(*ret_master >= 0 && ioctl(*ret_master, TIOCSPTLCK, &locked) == 0);
        *ret_slave = ioctl(*ret_master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(*ret_slave >= 0);
}

/* Nothing but a master passes for one. */
static void test_check_master(_unused_ void **state) {
        static const char *const others[] = { "/dev/null", "/dev/zero", "/", "/proc/self/status" };
        int master, slave, ends[2];

        open_pair(&master, &slave);
        assert_int_equal(terminal_check_master(master), 0);
        assert_int_equal(terminal_check_master(slave), -EBADMSG);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(terminal_check_master(ends[0]), -EBADMSG);
        assert_int_equal(terminal_check_master(-EBADF), -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                _cleanup_close_ int fd = open(others[i], O_RDONLY | O_CLOEXEC);

                assert_row(fd >= 0 && terminal_check_master(fd) == -EBADMSG, i, others[i]);
        }
        /* The node that makes them, without having made one. */
        _cleanup_close_ int path_fd = open("/dev/ptmx", O_PATH | O_CLOEXEC);
        assert_int_equal(terminal_check_master(path_fd), -EBADMSG);
        close(master);
        close(slave);
        close(ends[0]);
        close(ends[1]);
}

static void test_raw_and_back(_unused_ void **state) {
        struct termios before, raw, after;
        Terminal terminal = TERMINAL_NONE;
        uint16_t rows, columns;
        int master, slave, other_master, other_slave;

        open_pair(&master, &slave);
        open_pair(&other_master, &other_slave);
        assert_int_equal(tcgetattr(slave, &before), 0);
        terminal_end(&terminal); /* nothing was begun */
        assert_int_equal(terminal_begin(slave, &terminal), 0);
        assert_int_equal(tcgetattr(slave, &raw), 0);
        assert_true(before.c_lflag & ICANON && !(raw.c_lflag & (ICANON | ECHO | ISIG)) && !(raw.c_oflag & OPOST));
        terminal_end(&terminal);
        assert_int_equal(tcgetattr(slave, &after), 0);
        assert_true(before.c_iflag == after.c_iflag && before.c_oflag == after.c_oflag &&
                    before.c_cflag == after.c_cflag && before.c_lflag == after.c_lflag);
        assert_memory_equal(before.c_cc, after.c_cc, sizeof(before.c_cc));
        assert_true(terminal_begin(-EBADF, &terminal) < 0);

        const struct winsize size = { .ws_row = 33, .ws_col = 111 };
        assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
        terminal_copy_size(slave, other_master);
        terminal_size(other_slave, &rows, &columns);
        assert_true(rows == 33 && columns == 111);
        terminal_size(-EBADF, &rows, &columns);
        assert_true(rows == 0 && columns == 0);
        close(master);
        close(slave);
        close(other_master);
        close(other_slave);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_master),
        cmocka_unit_test(test_raw_and_back),
};
UNIT_FILE(tests);
