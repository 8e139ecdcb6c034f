/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "fuzz.h"
#include "wire/wire.h"

#define FDS_MAX 8

/* The first byte says how many descriptors come along; the rest is the message. */
static void send_input(int socket_fd, const uint8_t *data, size_t size, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control = { 0 };
        struct iovec part = { .iov_base = (void *) data, .iov_len = size };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

        if (n_fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                *CMSG_FIRSTHDR(&message) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int) * n_fds),
                                                             .cmsg_level = SOL_SOCKET,
                                                             .cmsg_type = SCM_RIGHTS };
                for (size_t i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)) + i * sizeof(int), &socket_fd, sizeof(int));
        }
        FUZZ_ASSERT(sendmsg(socket_fd, &message, MSG_NOSIGNAL) == (ssize_t) size);
}

/* What an agent understands, it would have been told in the same words. */
static void check_exec(int sockets[static 2], WireMessage *message) {
        static WireMessage again;
        WireExec exec;

        int r = wire_parse_exec(message, &exec);
        FUZZ_ASSERT(r == 0 || r == -EBADMSG);
        if (r < 0)
                return;
        FUZZ_ASSERT(exec.argv[0]);
        FUZZ_ASSERT(wire_send_exec(sockets[0], &exec, -EBADF, exec.has_variables ? sockets[0] : -EBADF) == 0);
        FUZZ_ASSERT(wire_receive(sockets[1], &again) == 1);
        FUZZ_ASSERT(again.type == WIRE_EXEC && again.n_fds == exec.has_variables && again.size == message->size);
        FUZZ_ASSERT(memcmp(again.payload, message->payload, again.size) == 0);
        wire_message_done(&again);
        wire_exec_done(&exec);
}

static void check_exited(const WireMessage *message) {
        WireExited exited;

        if (wire_parse_exited(message, &exited) < 0)
                return;
        if (exited.code == CLD_EXITED)
                FUZZ_ASSERT(exited.status >= 0 && exited.status <= 255);
        else
                FUZZ_ASSERT((exited.code == CLD_KILLED || exited.code == CLD_DUMPED) && exited.status > 0 &&
                            exited.status < NSIG);
}

static void check_started(const WireMessage *message) {
        WireStarted started;

        if (wire_parse_started(message, &started) >= 0)
                FUZZ_ASSERT(started.is_bash <= 1);
}

static void check_failed(const WireMessage *message) {
        WireFailed failed;

        if (wire_parse_failed(message, &failed) >= 0)
                FUZZ_ASSERT(failed.cause > 0 && failed.cause < _WIRE_CAUSE_MAX && failed.error > 0);
}

/* One message as a hostile other end may send it, to the host or to the agent. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static WireMessage message;
        int sockets[2];

        if (size < 1 || size > 100000)
                return 0;
        FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) == 0);
        send_input(sockets[0], data + 1, size - 1, data[0] % (FDS_MAX + 1));

        int r = wire_receive(sockets[1], &message);
        FUZZ_ASSERT(r == 1 || r == -EBADMSG || (r == 0 && size == 1));
        if (r > 0) {
                FUZZ_ASSERT(message.type > 0 && message.type < _WIRE_TYPE_MAX);
                FUZZ_ASSERT(message.size + 8 == size - 1 && message.n_fds == data[0] % (FDS_MAX + 1));
                check_exec(sockets, &message);
                check_exited(&message);
                check_failed(&message);
                check_started(&message);
                wire_message_done(&message);
        }
        close(sockets[1]);

        /* Nothing stayed open: the next descriptor is the one after the first of the pair. */
        int next = fcntl(sockets[0], F_DUPFD_CLOEXEC, sockets[0]);
        FUZZ_ASSERT(next == sockets[0] + 1);
        close(next);
        close(sockets[0]);
        return 0;
}
