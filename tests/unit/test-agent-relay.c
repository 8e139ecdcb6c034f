/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/init.h"
#include "base/fd.h"

/* The relay in a process of its own, between clients of the test and a systemd that is the test, too. What it cannot do
 * here: be asked by other users. */

char systemd_socket[108];

typedef struct Lab {
        char *directory;
        pid_t pid;
        int go_fd, notice_fd;
} Lab;

static int listen_there(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", systemd_socket);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 16) < 0)
                return -1;
        return fd;
}

static int setup_lab(void **state) {
        void *directory;
        int go[2], notice[2];

        if (setup_directory(&directory) < 0)
                return -1;
        snprintf(systemd_socket, sizeof(systemd_socket), "%s/private", (const char *) directory);
        InitSockets sockets = { .private_fd = listen_there() };
        if (sockets.private_fd < 0 || stat(systemd_socket, &sockets.private_inode) < 0 || pipe2(go, O_CLOEXEC) < 0 ||
            notice_pipe(notice) < 0 || fd_set_nonblock(sockets.private_fd, true) < 0)
                return -1;
        Lab *lab = calloc(1, sizeof(Lab));
        *lab = (Lab){ .directory = directory, .pid = fork(), .go_fd = go[1], .notice_fd = notice[0] };
        if (lab->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(go[1]);
                close(notice[0]);
                relay_run(&sockets, &(Surroundings){ .proc_fd = -EBADF, .null_fd = -EBADF }, go[0], notice[1]);
                _exit(0);
        }
        close(go[0]);
        close(notice[1]);
        close(sockets.private_fd);
        *state = lab;
        return 0;
}

/* It ends by itself, whatever became of it. */
static int teardown_lab(void **state) {
        Lab *lab = *state;
        void *directory = lab->directory;
        int status;

        closep(&lab->go_fd);
        if (waitpid(lab->pid, &status, 0) != lab->pid || status != 0)
                return -1;
        closep(&lab->notice_fd);
        free(lab);
        return teardown_directory(&directory);
}

/* -ECONNREFUSED if nobody listens any more. */
static int try_connect(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", systemd_socket);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static int connect_there(void) {
        int fd = try_connect();

        assert_true(fd >= 0);
        return fd;
}

/* systemd begins to listen, and what was PID 1 is gone: in this order, as the relay does not wait long here. */
static int become_systemd(Lab *lab) {
        assert_int_equal(unlink(systemd_socket), 0);
        int fd = listen_there();
        assert_true(fd >= 0);
        closep(&lab->go_fd);
        return fd;
}

/* The next connection that brings something: the relay tries first whether anybody listens. */
static int accept_with_data(int listen_fd) {
        for (;;) {
                struct pollfd pollfd = { .fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), .events = POLLIN };
                char byte;

                assert_true(pollfd.fd >= 0);
                assert_int_equal(poll(&pollfd, 1, -1), 1);
                if (recv(pollfd.fd, &byte, 1, MSG_PEEK) > 0)
                        return pollfd.fd;
                close(pollfd.fd);
        }
}

static void send_with_fd(int socket_fd, const char *data, int fd) {
        struct iovec part = { .iov_base = (void *) data, .iov_len = strlen(data) };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = {
                              .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };

        memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        assert_int_equal(sendmsg(socket_fd, &message, 0), strlen(data));
}

static int receive_with_fd(int socket_fd, const char *data) {
        char buffer[64];
        struct iovec part = { .iov_base = buffer, .iov_len = sizeof(buffer) };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        int fd;

        assert_int_equal(recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC), strlen(data));
        assert_memory_equal(buffer, data, strlen(data));
        assert_non_null(CMSG_FIRSTHDR(&message));
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
        return fd;
}

/* Both ways, with descriptors, and whoever hangs up is not kept. */
static void test_copies(void **state) {
        Lab *lab = *state;
        char byte;
        int ends[2];

        _cleanup_close_ int client_fd = connect_there();
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        send_with_fd(client_fd, "question", ends[1]);
        close(ends[1]);
        _cleanup_close_ int listen_fd = become_systemd(lab);
        _cleanup_close_ int server_fd = accept_with_data(listen_fd);
        _cleanup_close_ int passed_fd = receive_with_fd(server_fd, "question");
        send_with_fd(server_fd, "answer", passed_fd);
        _cleanup_close_ int back_fd = receive_with_fd(client_fd, "answer");
        assert_int_equal(write(back_fd, "x", 1), 1);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        close(ends[0]);
        closep(&client_fd);
        assert_int_equal(read(server_fd, &byte, 1), 0);
}

/* More than fits anywhere, while nobody reads yet. */
static void test_much(void **state) {
        enum { SIZE = 4 * 1024 * 1024 };
        Lab *lab = *state;
        _cleanup_free_ char *data = malloc(SIZE), *received = malloc(SIZE);
        size_t size = 0;

        for (size_t i = 0; i < SIZE; i++)
                data[i] = (char) (i * 31 + i / 4096);
        _cleanup_close_ int client_fd = connect_there();
        pid_t pid = fork();
        if (pid == 0) {
                closep(&lab->go_fd);
                _exit(fd_write_all(client_fd, data, SIZE) < 0);
        }
        closep(&client_fd);
        _cleanup_close_ int listen_fd = become_systemd(lab);
        _cleanup_close_ int server_fd = accept_with_data(listen_fd);
        for (ssize_t n; (n = read(server_fd, received + size, SIZE - size)) > 0;)
                size += (size_t) n;
        assert_int_equal(size, SIZE);
        assert_memory_equal(received, data, SIZE);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* One who says nothing keeps nobody waiting. */
static void test_several(void **state) {
        Lab *lab = *state;
        char byte;

        _cleanup_close_ int silent_fd = connect_there(), client_fd = connect_there();
        assert_int_equal(write(client_fd, "x", 1), 1);
        _cleanup_close_ int listen_fd = become_systemd(lab);
        /* The relay's own attempt comes first, and hangs up. The silent one is among the others, and stays open. */
        struct pollfd pollfds[4] = { { .fd = listen_fd, .events = POLLIN } };
        nfds_t n_fds = 1;
        for (bool found = false; !found;) {
                assert_true(poll(pollfds, n_fds, -1) > 0);
                for (nfds_t i = 1; i < n_fds && !found; i++) {
                        if (pollfds[i].revents == 0)
                                continue;
                        found = recv(pollfds[i].fd, &byte, 1, MSG_DONTWAIT) == 1;
                        if (found)
                                assert_int_equal(write(pollfds[i].fd, "y", 1), 1);
                        close(pollfds[i].fd);
                        pollfds[i].fd = -EBADF;
                }
                if (!found && pollfds[0].revents != 0) {
                        assert_true(n_fds < ELEMENTSOF(pollfds));
                        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
                        assert_true(fd >= 0);
                        pollfds[n_fds++] = (struct pollfd){ .fd = fd, .events = POLLIN };
                }
        }
        assert_int_equal(read(client_fd, &byte, 1), 1);
        for (nfds_t i = 1; i < n_fds; i++)
                closep(&pollfds[i].fd);
}

/* Nobody comes: those who wait are told, and so is the agent. */
static void test_silent_systemd(void **state) {
        Lab *lab = *state;
        WireNotice notice;
        char byte;

        _cleanup_close_ int client_fd = connect_there();
        closep(&lab->go_fd);
        assert_true(read(client_fd, &byte, 1) <= 0);
        assert_int_equal(notice_receive(lab->notice_fd, &notice), 1);
        assert_int_equal(notice.kind, WIRE_NOTICE_SILENT);
        assert_int_equal(notice_receive(lab->notice_fd, &notice), -EPIPE);
}

/* PID 1 is still what it was, and looks after the connections itself. */
static void test_not_executed(void **state) {
        Lab *lab = *state;
        WireNotice notice;

        assert_int_equal(write(lab->go_fd, "x", 1), 1);
        struct pollfd pollfd = { .fd = lab->notice_fd };
        assert_int_equal(poll(&pollfd, 1, -1), 1); /* it hangs up */
        assert_int_equal(notice_receive(lab->notice_fd, &notice), -EPIPE);
}

/* A job puts the old socket back: the relay does not talk to itself for ever. */
static void test_old_socket_again(void **state) {
        Lab *lab = *state;
        char moved[128], byte;

        _cleanup_close_ int client_fd = connect_there();
        assert_int_equal(write(client_fd, "x", 1), 1);
        snprintf(moved, sizeof(moved), "%s/moved", lab->directory);
        assert_int_equal(rename(systemd_socket, moved), 0);
        _cleanup_close_ int listen_fd = listen_there();
        closep(&lab->go_fd);
        /* It has seen the new socket. */
        _cleanup_close_ int probe_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(probe_fd >= 0);
        assert_int_equal(rename(moved, systemd_socket), 0);
        _cleanup_close_ int late_fd = try_connect();
        assert_true(late_fd >= 0 || late_fd == -ECONNREFUSED); /* it may have ended by now */
        while (late_fd >= 0 && read(late_fd, &byte, 1) > 0)
                ;
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_copies, setup_lab, teardown_lab),
        cmocka_unit_test_setup_teardown(test_much, setup_lab, teardown_lab),
        cmocka_unit_test_setup_teardown(test_several, setup_lab, teardown_lab),
        cmocka_unit_test_setup_teardown(test_silent_systemd, setup_lab, teardown_lab),
        cmocka_unit_test_setup_teardown(test_not_executed, setup_lab, teardown_lab),
        cmocka_unit_test_setup_teardown(test_old_socket_again, setup_lab, teardown_lab),
};
UNIT_FILE(tests);
