/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The host's end of the agent's socket: whoever starts a container listens, and whoever wants something of its agent
 * connects. The agent can be replaced by processes of the job, so nothing that it answers is believed, and waiting
 * for it always has a limit. */

#include "container/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fd.h"
#include "container/cgroup-warm.h"
#include "wire/wire.h"

/* Enough for the runs of one job, which come one by one, with room for status and the like. */
#define BACKLOG 16
/* An agent takes connections at once, unless the host is very busy. */
#define CONNECT_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define CONNECT_AGAIN_USEC (20 * USEC_PER_MSEC)
/* A container without an init system is ready long before that. */
#define WARM_MAX_USEC (200 * USEC_PER_MSEC)
#define WARM_FIRST_USEC (2 * USEC_PER_MSEC)

static int socket_address(const char *job_directory, struct sockaddr_un *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" CHANNEL_SOCKET, job_directory);
        if (n < 0 || (size_t) n >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        *ret = address;
        return 0;
}

static int socket_new(void) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        return fd < 0 ? -errno : fd;
}

int channel_listen(const char *job_directory) {
        struct sockaddr_un address;

        int r = socket_address(job_directory, &address);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = socket_new();
        if (fd < 0)
                return fd;
        if (unlink(address.sun_path) < 0 && errno != ENOENT)
                return -errno;
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* 0: the socket is readable. -ETIMEDOUT at @deadline; -EINTR for @signal_fd; or another -errno. */
static int wait_readable(int socket_fd, int signal_fd, uint64_t deadline) {
        for (;;) {
                struct pollfd pollfds[2] = {
                        { .fd = socket_fd, .events = POLLIN },
                        { .fd = signal_fd, .events = POLLIN },
                };
                int n = poll(pollfds, 2, clock_poll_timeout(deadline));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -ETIMEDOUT;
                return pollfds[1].revents ? -EINTR : 0;
        }
}

/* Waits until there is room for the connection: processes of the job can have the listening socket, and let nobody in. */
static int connect_within(int fd, const struct sockaddr_un *address, int signal_fd, uint64_t deadline) {
        while (connect(fd, (const struct sockaddr *) address, sizeof(*address)) < 0) {
                if (errno != EINTR && errno != EAGAIN)
                        return -errno;
                /* The kernel wakes nobody who waits for that without connect(). */
                int r = wait_readable(-EBADF, signal_fd, MIN(deadline, clock_deadline(CONNECT_AGAIN_USEC)));
                if (r < 0 && r != -ETIMEDOUT)
                        return r;
                if (clock_now_usec() >= deadline)
                        return -ETIMEDOUT;
        }
        return 0;
}

int channel_connect_within(const char *job_directory, int signal_fd, uint64_t timeout_usec) {
        struct sockaddr_un address;

        int r = socket_address(job_directory, &address);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = socket_new();
        if (fd < 0)
                return fd;
        r = fd_set_nonblock(fd, true);
        if (r < 0)
                return r;
        r = connect_within(fd, &address, signal_fd, clock_deadline(timeout_usec));
        if (r < 0)
                return r;
        r = fd_set_nonblock(fd, false);
        return r < 0 ? r : TAKE_FD(fd);
}

int channel_connect(const char *job_directory) {
        return channel_connect_within(job_directory, -EBADF, CONNECT_TIMEOUT_USEC);
}

/* Keeps moves between control groups quick until the socket is readable, or for WARM_MAX_USEC. */
static int wait_warm(int socket_fd, int signal_fd) {
        const uint64_t end = clock_deadline(WARM_MAX_USEC);
        uint64_t wait_usec = WARM_FIRST_USEC;
        int r = -ETIMEDOUT;

        _cleanup_close_ int warm_fd = cgroup_warm_open();
        /* At first, `supervise` makes groups, which it could not while the kernel waits for a move of ours. */
        while (warm_fd >= 0 && r == -ETIMEDOUT && clock_now_usec() < end) {
                r = wait_readable(socket_fd, signal_fd, clock_deadline(wait_usec));
                if (r == -ETIMEDOUT)
                        cgroup_warm(warm_fd);
                wait_usec = CGROUP_WARM_USEC;
        }
        return r;
}

int channel_wait_ready(int socket_fd, int signal_fd, uint64_t timeout_usec, bool starting) {
        uint64_t deadline = clock_deadline(timeout_usec);
        static WireMessage message; /* on the stack, the compiler would touch all its pages */

        int r = wire_send(socket_fd, WIRE_PING, NULL, 0, NULL, 0);
        if (r < 0)
                return r == -EPIPE ? -ECONNRESET : r;
        r = starting ? wait_warm(socket_fd, signal_fd) : -ETIMEDOUT;
        if (r == -ETIMEDOUT)
                r = wait_readable(socket_fd, signal_fd, deadline);
        if (r < 0)
                return r;

        r = wire_receive_plain(socket_fd, &message);
        if (r == 0)
                return -ECONNRESET;
        if (r < 0)
                return r;
        return message.type == WIRE_PONG ? 0 : message.type == WIRE_FAILED ? -ENOEXEC : -EBADMSG;
}
