/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Connects programs that asked for systemd before it ran with the systemd that runs now. systemd always makes its
 * private socket anew, and an open connection cannot be handed to it; so this copies both ways, descriptors included.
 * init.c starts it as a process of its own, and it starts one more for each connection. A job may kill them at any time:
 * connections break, and nothing else. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/init.h"
#include "base/clock.h"
#include "base/fd.h"

/* How long systemd may take to answer: as long as it gives the programs that it runs before (systemd.generator(7)). */
#ifndef READY_TIMEOUT_USEC /* the tests do not wait so long */
#define READY_TIMEOUT_USEC (90 * USEC_PER_SEC)
#endif
#define READY_POLL_USEC (2 * USEC_PER_MSEC)
#define READY_POLL_MAX_USEC (50 * USEC_PER_MSEC)

/* systemd answers before it has started anything. As in a container that was booted, the agent must come first: this
 * file is there when systemd has begun to start it. The file is systemd's own, so a job can remove it; then we do not
 * wait longer than this. */
#ifndef AGENT_MARK
#define AGENT_MARK "/run/systemd/units/invocation:" UNITS_SERVICE
#endif
#ifndef MARK_TIMEOUT_USEC
#define MARK_TIMEOUT_USEC (5 * USEC_PER_SEC)
#endif

/* A program that looked up the path before systemd replaced the socket may connect a moment later. */
#ifndef LATE_USEC
#define LATE_USEC USEC_PER_SEC
#endif

/* Connections at the same time; more wait in the queue. */
#define CHILDREN_MAX 128U

#define BUFFER_BYTES 65536U
/* SCM_MAX_FD of the kernel */
#define DESCRIPTORS_MAX 253U

/* One direction: what was read from one end and not yet written to the other. */
typedef struct Flow {
        size_t offset, size;
        int fds[DESCRIPTORS_MAX]; /* these go with the first byte */
        size_t n_fds;
        bool ended; /* the end of the input was read */
        char data[BUFFER_BYTES];
} Flow;

/* fds[0] is the program's end, fds[1] systemd's; flows[i] is what came from fds[i]. */
typedef struct Pair {
        int fds[2];
        Flow flows[2];
        pid_t client;
        const Surroundings *surroundings;
} Pair;

static void flow_close_fds(Flow *flow) {
        for (size_t i = 0; i < flow->n_fds; i++)
                closep(&flow->fds[i]);
        flow->n_fds = 0;
}

typedef union Control {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
} Control;

/* Reads when there is nothing left to write. Returns false when the connection is to be given up. */
static bool flow_read(Flow *flow, int fd) {
        struct iovec part = { .iov_base = flow->data, .iov_len = sizeof(flow->data) };
        Control control;
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        (void) fds_take(&message, flow->fds, DESCRIPTORS_MAX, &flow->n_fds);
        flow->offset = 0;
        flow->size = (size_t) n;
        flow->ended = n == 0;
        return true;
}

static bool flow_write(Flow *flow, int fd) {
        struct iovec part = { .iov_base = flow->data + flow->offset, .iov_len = flow->size - flow->offset };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
        Control control = { 0 };

        if (flow->n_fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * flow->n_fds);
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(sizeof(int) * flow->n_fds);
                memcpy(CMSG_DATA(cmsg), flow->fds, sizeof(int) * flow->n_fds);
        }
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        flow_close_fds(flow);
        flow->offset += (size_t) n;
        if (flow->offset == flow->size)
                flow->offset = flow->size = 0;
        return true;
}

/* A new connection to where systemd listens, or -errno. Does not wait: a full queue is -EAGAIN. */
static int connect_systemd(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", INIT_PRIVATE_SOCKET);
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* One end of it is ready. Returns false when the connection is done with. */
static bool pair_turn(Pair *pair, size_t i, short events) {
        Flow *from = &pair->flows[i], *to = &pair->flows[1 - i];

        if (to->size > 0 && (events & (POLLOUT | POLLERR | POLLHUP)) && !flow_write(to, pair->fds[i]))
                return false;
        if (from->size == 0 && (events & (POLLIN | POLLHUP | POLLERR)) && !flow_read(from, pair->fds[i]))
                return false;
        /* systemd asks for the unit of the process that it talks to: it must be that of the client. */
        if (i == 0 && from->size > 0)
                group_follow(pair->surroundings, pair->client);
        return !from->ended; /* D-Bus has no half-closed connections */
}

/* Copies until one end hangs up. */
static void copy(Pair *pair) {
        for (;;) {
                struct pollfd pollfds[2];

                for (size_t i = 0; i < 2; i++)
                        pollfds[i] = (struct pollfd){ .fd = pair->fds[i],
                                                      .events = (short) ((pair->flows[i].size == 0 ? POLLIN : 0) |
                                                                         (pair->flows[1 - i].size > 0 ? POLLOUT : 0)) };
                if (poll(pollfds, 2, -1) < 0)
                        continue;
                for (size_t i = 0; i < 2; i++)
                        if (pollfds[i].revents != 0 && !pair_turn(pair, i, pollfds[i].revents))
                                return;
        }
}

/* To systemd we are root, so we must check who asks. Our own processes are refused: a job that has put our socket
 * back in systemd's place would make us talk to ourselves. */
static bool is_welcome(const struct ucred *peer) {
        return peer->uid == 0 && peer->pid != getpid() && peer->pid != getppid() && getpgid(peer->pid) != getpgrp();
}

/* In a process of its own. */
static void serve(int client_fd, const Surroundings *surroundings) {
        static Pair pair;
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(client_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || !is_welcome(&peer))
                return;
        pair.client = peer.pid;
        pair.surroundings = surroundings;
        pair.fds[0] = client_fd;
        pair.fds[1] = connect_systemd();
        if (pair.fds[1] >= 0)
                copy(&pair);
}

/* Returns false when nobody waits. */
static bool accept_one(int listen_fd, const Surroundings *surroundings, unsigned *n_children) {
        _cleanup_close_ int client_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client_fd < 0)
                return false;
        pid_t pid = fork();
        if (pid == 0) {
                close(listen_fd);
                serve(client_fd, surroundings);
                _exit(EXIT_SUCCESS);
        }
        *n_children += pid > 0;
        return true;
}

/* Accepts connections until no more can come. The children end with their connections. */
static void accept_all(int listen_fd, const Surroundings *surroundings) {
        uint64_t until = clock_deadline(LATE_USEC);
        unsigned n_children = 0;

        for (;;) {
                struct pollfd pollfd = { .fd = listen_fd, .events = POLLIN };

                while (n_children > 0 && waitpid(-1, NULL, WNOHANG) > 0)
                        n_children--;
                if (n_children >= CHILDREN_MAX) {
                        clock_sleep_usec(READY_POLL_MAX_USEC);
                        continue;
                }
                int r = poll(&pollfd, 1, clock_poll_timeout(until));
                if (r == 0 || (r > 0 && !accept_one(listen_fd, surroundings, &n_children)))
                        return;
        }
}

static bool is_replaced(const struct stat *before) {
        struct stat st;

        return lstat(INIT_PRIVATE_SOCKET, &st) >= 0 && S_ISSOCK(st.st_mode) &&
               (st.st_ino != before->st_ino || st.st_dev != before->st_dev);
}

/* 0 when systemd listens; -ETIMEDOUT. */
static int wait_for_systemd(const struct stat *before) {
        uint64_t deadline = clock_deadline(READY_TIMEOUT_USEC), pause_usec = READY_POLL_USEC;

        for (;;) {
                /* Whoever was stopped for that long has not looked yet: the time is over when that finds nothing. */
                bool is_over = clock_now_usec() >= deadline;

                if (is_replaced(before)) {
                        _cleanup_close_ int fd = connect_systemd();
                        if (fd >= 0)
                                return 0;
                }
                if (is_over)
                        return -ETIMEDOUT;
                clock_sleep_usec(pause_usec);
                pause_usec = MIN(pause_usec + pause_usec / 8, READY_POLL_MAX_USEC);
        }
}

static void wait_for_agent(void) {
        uint64_t deadline = clock_deadline(MARK_TIMEOUT_USEC);
        struct stat st;

        while (lstat(AGENT_MARK, &st) < 0 && clock_now_usec() < deadline)
                clock_sleep_usec(READY_POLL_USEC);
}

void relay_run(const InitSockets *sockets, const Surroundings *surroundings, int go_fd, int notice_fd) {
        char failed;

        /* is_welcome() recognizes our processes by their group. */
        (void) setpgid(0, 0);
        (void) signal(SIGPIPE, SIG_IGN);
        if (read(go_fd, &failed, sizeof(failed)) != 0 || sockets->private_fd < 0)
                return;
        if (wait_for_systemd(&sockets->private_inode) < 0) {
                notice_send(notice_fd, WIRE_NOTICE_SILENT, 0);
                return; /* which ends the connections that wait */
        }
        closep(&notice_fd);
        wait_for_agent();
        accept_all(sockets->private_fd, surroundings);
}
