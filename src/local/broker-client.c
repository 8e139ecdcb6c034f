/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The side of the broker's clients, which have no rights: they ask for connections and calls of stages, and wait for
 * answers. Called by the process of each job, and by the one that starts them. It never starts a stage itself, and a
 * broker that is gone is an error, not a reason to wait. */

#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "local/broker-client.h"

#define FDS_MAX 5U

static int send_request(int fd, BrokerRequest *request, char *const *arguments, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control = { 0 };
        size_t used = 0;

        for (; arguments && *arguments; arguments++) {
                size_t n = strlen(*arguments) + 1;

                if (used + n > BROKER_ARGUMENTS_BYTES_MAX)
                        return -E2BIG;
                memcpy(request->arguments + used, *arguments, n);
                used += n;
        }
        request->arguments_size = (uint32_t) used;
        struct iovec part = { .iov_base = request, .iov_len = offsetof(BrokerRequest, arguments) + used };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
        if (n_fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
        }
        while (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

int broker_send(int fd, BrokerAction action, BrokerStage stage, char *const *arguments, const int *fds, size_t n_fds) {
        BrokerRequest request = { .action = action, .stage = stage };

        return send_request(fd, &request, arguments, fds, n_fds);
}

int broker_send_step(int fd, char *const *arguments, uint64_t file_bytes_max, const int *fds, size_t n_fds) {
        BrokerRequest request = { .action = BROKER_CALL, .stage = BROKER_STEP, .file_bytes_max = file_bytes_max };

        return send_request(fd, &request, arguments, fds, n_fds);
}

int broker_receive(int fd, BrokerReply *ret) {
        for (;;) {
                ssize_t n = recv(fd, ret, sizeof(*ret), 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == ECONNRESET ? 0 : -errno;
                return n == 0 ? 0 : n == sizeof(*ret) ? 1 : -EBADMSG;
        }
}

int broker_connect(int first_fd) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        int r = broker_send(first_fd, BROKER_CLIENT, BROKER_CONFIG, NULL, pair + 1, 1);
        close(pair[1]);
        if (r < 0) {
                close(pair[0]);
                return r;
        }
        return pair[0];
}
