/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "descriptors.h"
#include "local/broker.h"

#define RESPONSE "{\"git_info\":{},\"job_info\":{}}"

/* What no client of ours sends. As broker_send(), for any number of descriptors. */
static void send_raw(int fd, const void *data, size_t size, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * 8)];
        } control = { 0 };
        struct iovec part = { .iov_base = (void *) data, .iov_len = size };
        struct msghdr message = {
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = CMSG_SPACE(sizeof(int) * n_fds),
        };

        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
        if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
                _exit(10);
}

/* Sends copies of one end of a pipe, and waits until nobody has them any more. */
static void send_pipes(int fd, const void *data, size_t size, size_t n) {
        int ends[2], copies[8];
        char c;

        if (pipe2(ends, O_CLOEXEC) < 0)
                _exit(11);
        for (size_t i = 0; i < n; i++)
                copies[i] = ends[1];
        send_raw(fd, data, size, copies, n);
        close(ends[1]);
        if (read(ends[0], &c, 1) != 0)
                _exit(12);
        close(ends[0]);
}

/* A connection that sends too many descriptors, or some with no message, is closed, and all of those are. */
static int client_of_too_many(int first_fd) {
        const BrokerRequest request = { .action = BROKER_CALL, .stage = BROKER_RUN };
        static const struct {
                size_t size, n;
        } rows[] = { { offsetof(BrokerRequest, arguments), 6 }, { offsetof(BrokerRequest, arguments), 7 }, { 0, 1 } };
        BrokerReply reply;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int fd = broker_connect(first_fd);

                if (fd < 0)
                        return 1;
                send_pipes(fd, &request, rows[i].size, rows[i].n);
                if (broker_receive(fd, &reply) != 0)
                        return 2 + (int) i;
                close(fd);
                send_pipes(first_fd, &request, rows[i].size, rows[i].n);
        }
        return 0;
}

static int open_with(int fd, int file) {
        BrokerReply reply;

        if (file < 0 || broker_send(fd, BROKER_OPEN, BROKER_CONFIG, NULL, &file, 1) < 0 ||
            broker_receive(fd, &reply) != 1)
                return 1;
        return reply.status;
}

static int call_with(int fd, int variables, int script) {
        const int fds[] = { script, script, script, variables, script };
        BrokerReply reply;

        if (broker_send(fd, BROKER_CALL, BROKER_RUN, ARGV("step"), fds, 5) < 0 || broker_receive(fd, &reply) != 1)
                return 1;
        return reply.status;
}

/* Nothing is read but sealed memory files. */
static int client_of_unsealed(int first_fd) {
        int fd = broker_connect(first_fd), ends[2];
        int plain = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int half = memfd_create("half", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int sealed = memfd_new_sealed("sealed", RESPONSE, strlen(RESPONSE));
        int large = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        const int seals = F_SEAL_GROW | F_SEAL_SHRINK;

        if (pipe2(ends, O_CLOEXEC) < 0 || fd_write_all(plain, RESPONSE, strlen(RESPONSE)) < 0 ||
            fd_write_all(half, RESPONSE, strlen(RESPONSE)) < 0 || fcntl(half, F_ADD_SEALS, seals) < 0 ||
            ftruncate(large, 17 << 20) < 0 || fcntl(large, F_ADD_SEALS, seals | F_SEAL_WRITE) < 0)
                return 1;
        if (open_with(fd, plain) != -EPERM || open_with(fd, half) != -EPERM || open_with(fd, ends[0]) != -EPERM)
                return 2;
        if (open_with(fd, large) != -EFBIG || open_with(fd, sealed) != 0)
                return 3;
        if (call_with(fd, plain, sealed) != -EPERM || call_with(fd, ends[0], sealed) != -EPERM ||
            call_with(fd, sealed, plain) != -EPERM)
                return 4;
        return call_with(fd, sealed, sealed) == 0 ? 0 : 5;
}

/* A connection for a job is a socket: another file is closed at once. */
static int client_of_files(int first_fd) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0 || broker_send(first_fd, BROKER_CLIENT, BROKER_CONFIG, NULL, ends, 1) < 0)
                return 1;
        close(ends[0]);
        struct pollfd writer = { .fd = ends[1], .events = 0 };
        return poll(&writer, 1, -1) == 1 ? 0 : 2;
}

/* A step writes no larger file than its caller allows. */
static int client_of_limited(int first_fd) {
        int fd = broker_connect(first_fd), file = memfd_create("file", MFD_CLOEXEC);
        int response = memfd_new_sealed("response", RESPONSE, strlen(RESPONSE));
        int variables = memfd_new_sealed("variables", "", 0);
        const int fds[] = { file, file, file, variables };
        static const uint64_t limits[] = { 1000, 0 };
        BrokerReply reply;
        struct stat st;

        if (open_with(fd, response) != 0)
                return 1;
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                if (ftruncate(file, 0) < 0 || lseek(file, 0, SEEK_SET) < 0 ||
                    broker_send_step(fd, ARGV("pack"), limits[i], fds, 4) < 0 || broker_receive(fd, &reply) != 1)
                        return 2;
                if (reply.status != (limits[i] > 0 ? 128 + SIGXFSZ : 0))
                        return 3;
                if (fstat(file, &st) < 0 || st.st_size != (limits[i] > 0 ? (off_t) limits[i] : 100000))
                        return 4;
        }
        return 0;
}

/* Serves one process, whose exit status tells what it found. */
static void test_client(void **state, int (*client)(int first_fd), char *const *command) {
        int pair[2], status, n = count_descriptors(0);

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        pid_t pid = fork();
        if (pid == 0) {
                close(pair[0]);
                _exit(client(pair[1]));
        }
        assert_true(pid > 0);
        close(pair[1]);
        _cleanup_close_ int pidfd = pidfd_open_cloexec(pid);
        const BrokerSetup setup = {
                .runtime_dir = *state,
                .command = command,
                .first_fd = pair[0],
                .child_pidfd = pidfd,
                .signal_fd = -EBADF,
        };
        assert_int_equal(broker_run(&setup), 0);
        closep(pair);
        closep(&pidfd);
        pidfd = -EBADF;
        assert_int_equal(process_wait(pid, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(count_descriptors(0), n);
}

static void test_too_many(void **state) {
        test_client(state, client_of_too_many, ARGV("true"));
}

static void test_unsealed(void **state) {
        test_client(state, client_of_unsealed, ARGV("true"));
}

static void test_files(void **state) {
        test_client(state, client_of_files, ARGV("true"));
}

static void test_limited(void **state) {
        test_client(state, client_of_limited, ARGV("sh", "-c", "exec head -c 100000 /dev/zero"));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_too_many, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_unsealed, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_files, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_limited, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
