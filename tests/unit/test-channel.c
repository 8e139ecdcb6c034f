/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/socket.h>

#include "base/fd.h"
#include "container/channel.h"
#include "descriptors.h"
#include "wire/wire.h"

static void test_connect(void **state) {
        assert_int_equal(channel_connect(*state), -ENOENT);
        _cleanup_close_ int listen_fd = channel_listen(*state), first = channel_connect(*state);

        assert_true(listen_fd >= 0 && first >= 0);
        assert_int_equal(fcntl(first, F_GETFL) & O_NONBLOCK, 0);
        closep(&listen_fd);
        listen_fd = -EBADF;
        assert_int_equal(channel_connect(*state), -ECONNREFUSED);
}

/* Processes of a job can have the socket, and leave no room for others. */
static void test_no_room(void **state) {
        _cleanup_close_ int listen_fd = channel_listen(*state);
        int signal[2], n = count_descriptors(0);

        assert_int_equal(listen(listen_fd, 0), 0);
        _cleanup_close_ int first = channel_connect(*state);
        assert_true(first >= 0);
        assert_int_equal(channel_connect_within(*state, -EBADF, 0), -ETIMEDOUT);
        assert_int_equal(channel_connect_within(*state, -EBADF, 1000), -ETIMEDOUT);
        assert_int_equal(pipe2(signal, O_CLOEXEC), 0);
        assert_int_equal(write(signal[1], "", 1), 1);
        assert_int_equal(channel_connect_within(*state, signal[0], USEC_INFINITY), -EINTR);
        close(signal[0]);
        close(signal[1]);
        _cleanup_close_ int accepted = accept(listen_fd, NULL, NULL);
        _cleanup_close_ int second = channel_connect_within(*state, -EBADF, 0);
        assert_true(accepted >= 0 && second >= 0);
        assert_int_equal(fcntl(second, F_GETFL) & O_NONBLOCK, 0);
        assert_int_equal(count_descriptors(0), n + 3);
}

/* An answer with descriptors is none. */
static void test_answer(void **state) {
        _cleanup_close_ int listen_fd = channel_listen(*state), socket_fd = channel_connect(*state);
        _cleanup_close_ int accepted = accept(listen_fd, NULL, NULL);

        assert_int_equal(wire_send(accepted, WIRE_PONG, NULL, 0, NULL, 0), 0);
        assert_int_equal(channel_wait_ready(socket_fd, -EBADF, USEC_INFINITY, false), 0);
        assert_int_equal(wire_send(accepted, WIRE_PONG, NULL, 0, &listen_fd, 1), 0);
        assert_int_equal(channel_wait_ready(socket_fd, -EBADF, USEC_INFINITY, false), -EBADMSG);
        assert_int_equal(wire_send(accepted, WIRE_FAILED, NULL, 0, NULL, 0), 0);
        assert_int_equal(channel_wait_ready(socket_fd, -EBADF, USEC_INFINITY, false), -ENOEXEC);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answer, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_connect, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_room, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
