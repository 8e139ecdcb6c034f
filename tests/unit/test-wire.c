/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/string.h"
#include "descriptors.h"
#include "wire/wire.h"

#define MAGIC UINT32_C(0x6e737006)

static void close_pair(int (*fds)[2]) {
        closep(&(*fds)[0]);
        closep(&(*fds)[1]);
}
#define _cleanup_pair_ _cleanup_(close_pair)

static void connect_pair(int ret[static 2]) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret), 0);
}

/* What wire_send() would never do. */
static void send_raw(int socket_fd, const void *data, size_t size, int fd, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * 253)];
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
                        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)) + i * sizeof(int), &fd, sizeof(int));
        }
        assert_int_equal(sendmsg(socket_fd, &message, MSG_NOSIGNAL), size);
}

static bool is_same_file(int a, int b) {
        struct stat first, second;

        return fstat(a, &first) >= 0 && fstat(b, &second) >= 0 && first.st_dev == second.st_dev &&
               first.st_ino == second.st_ino;
}

/* Where none are expected, descriptors do not even get to us. */
static void test_plain(_unused_ void **state) {
        _cleanup_pair_ int sockets[2], files[2];
        static WireMessage message;
        char c;

        connect_pair(sockets);
        assert_int_equal(pipe2(files, O_CLOEXEC), 0);
        int n = count_descriptors(0);
        assert_int_equal(wire_receive_plain(sockets[1], &message), -EAGAIN);
        assert_int_equal(wire_send(sockets[0], WIRE_PONG, "x", 1, files + 1, 1), 0);
        assert_int_equal(wire_receive_plain(sockets[1], &message), -EBADMSG);
        assert_int_equal(wire_send(sockets[0], WIRE_PONG, "x", 1, NULL, 0), 0);
        assert_int_equal(wire_receive_plain(sockets[1], &message), 1);
        assert_true(message.type == WIRE_PONG && message.size == 1 && message.n_fds == 0);
        assert_int_equal(count_descriptors(0), n);
        closep(files + 1);
        files[1] = -EBADF;
        assert_int_equal(read(files[0], &c, 1), 0); /* nobody has it */
}

static void test_round_trip(_unused_ void **state) {
        static const size_t sizes[] = { 0, 1, 7, 8, 4096, WIRE_MESSAGE_MAX - 1, WIRE_MESSAGE_MAX };
        static unsigned char payload[WIRE_MESSAGE_MAX];
        _cleanup_pair_ int sockets[2], files[2];
        WireMessage message;

        for (size_t i = 0; i < sizeof(payload); i++)
                payload[i] = (unsigned char) (i * 7);
        connect_pair(sockets);
        assert_int_equal(pipe2(files, O_CLOEXEC), 0);
        const int all[WIRE_FDS_MAX] = { files[0], files[1], sockets[0], sockets[1] };
        int before = count_descriptors(0);

        for (WireType type = WIRE_PING; type < _WIRE_TYPE_MAX; type++)
                for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                        for (size_t n_fds = 0; n_fds <= WIRE_FDS_MAX; n_fds++) {
                                assert_int_equal(wire_send(sockets[0], type, payload, sizes[i], all, n_fds), 0);
                                assert_int_equal(wire_receive(sockets[1], &message), 1);
                                assert_int_equal(message.type, type);
                                assert_int_equal(message.size, sizes[i]);
                                assert_memory_equal(message.payload, payload, sizes[i]);
                                assert_int_equal(message.n_fds, n_fds);
                                for (size_t j = 0; j < WIRE_FDS_MAX; j++) {
                                        if (j >= n_fds) {
                                                assert_int_equal(message.fds[j], -EBADF);
                                                continue;
                                        }
                                        assert_true(is_same_file(message.fds[j], all[j]));
                                        assert_int_equal(fcntl(message.fds[j], F_GETFD), FD_CLOEXEC);
                                }
                                wire_message_done(&message);
                                assert_int_equal(count_descriptors(0), before);
                        }
}

/* Taken descriptors stay open, the others do not. */
static void test_take_descriptor(_unused_ void **state) {
        _cleanup_pair_ int sockets[2], files[2];
        WireMessage message;

        connect_pair(sockets);
        assert_int_equal(pipe2(files, O_CLOEXEC), 0);
        int before = count_descriptors(0);
        assert_int_equal(wire_send(sockets[0], WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), files, 2), 0);
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        _cleanup_close_ int taken = TAKE_FD(message.fds[1]);
        wire_message_done(&message);
        assert_int_equal(count_descriptors(0), before + 1);
        assert_true(is_same_file(taken, files[1]));
        wire_message_done(&message); /* twice is fine */
}

static void test_order(_unused_ void **state) {
        _cleanup_pair_ int sockets[2];
        WireMessage message;

        connect_pair(sockets);
        assert_int_equal(wire_send(sockets[0], WIRE_EXITED, "a", 1, NULL, 0), 0);
        assert_int_equal(wire_send(sockets[0], WIRE_PONG, NULL, 0, NULL, 0), 0);
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        assert_int_equal(message.type, WIRE_EXITED);
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        assert_int_equal(message.type, WIRE_PONG);
        assert_int_equal(wire_receive(sockets[1], &message), -EAGAIN);
}

static void test_ends(_unused_ void **state) {
        _cleanup_pair_ int sockets[2];
        WireMessage message;

        connect_pair(sockets);
        assert_int_equal(wire_receive(sockets[1], &message), -EAGAIN);
        assert_int_equal(wire_send(sockets[0], WIRE_PING, NULL, 0, NULL, 0), 0);
        close(TAKE_FD(sockets[0]));
        /* What was sent before the end still arrives. */
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        assert_int_equal(wire_receive(sockets[1], &message), 0);
        assert_int_equal(wire_receive(sockets[1], &message), 0);

        /* No SIGPIPE: its default would end this test. */
        signal(SIGPIPE, SIG_DFL);
        assert_int_equal(wire_send(sockets[1], WIRE_PING, NULL, 0, NULL, 0), -EPIPE);
        assert_int_equal(wire_receive(-EBADF, &message), -EBADF);
        assert_int_equal(wire_send(-EBADF, WIRE_PING, NULL, 0, NULL, 0), -EBADF);
}

static void test_send_limits(_unused_ void **state) {
        static const unsigned char payload[WIRE_MESSAGE_MAX + 1];
        _cleanup_pair_ int sockets[2];
        int fds[WIRE_FDS_MAX + 1] = { 0 };
        WireMessage message;
        int r = 0;

        connect_pair(sockets);
        assert_int_equal(wire_send(sockets[0], WIRE_PING, payload, sizeof(payload), NULL, 0), -EMSGSIZE);
        assert_int_equal(wire_send(sockets[0], WIRE_PING, NULL, 0, fds, WIRE_FDS_MAX + 1), -E2BIG);
        assert_int_equal(wire_receive(sockets[1], &message), -EAGAIN);

        /* Nobody reads: not for ever, on a socket that does not block. */
        for (unsigned i = 0; r == 0 && i < 1000; i++)
                r = wire_send(sockets[0], WIRE_PING, payload, WIRE_MESSAGE_MAX, NULL, 0);
        assert_int_equal(r, -EAGAIN);
}

static void test_hostile(_unused_ void **state) {
        static const struct {
                const char *text;
                uint32_t magic, type;
                size_t size; /* of all of the message */
                size_t n_fds;
                int result;
        } table[] = {
                { "nothing", MAGIC, WIRE_PING, 0, 0, 0 },
                { "nothing but descriptors", MAGIC, WIRE_PING, 0, 2, 0 },
                { "one byte", MAGIC, WIRE_PING, 1, 0, -EBADMSG },
                { "half a header", MAGIC, WIRE_PING, 4, 1, -EBADMSG },
                { "header less a byte", MAGIC, WIRE_PING, 7, 2, -EBADMSG },
                { "whole header", MAGIC, WIRE_PING, 8, 2, 1 },
                { "no magic", 0, WIRE_PING, 8, 0, -EBADMSG },
                { "other version", MAGIC + 1, WIRE_PING, 8, 2, -EBADMSG },
                { "other byte order", UINT32_C(0x0270736e), WIRE_PING, 8, 0, -EBADMSG },
                { "type 0", MAGIC, 0, 8, 1, -EBADMSG },
                { "last type", MAGIC, _WIRE_TYPE_MAX - 1, 8, 0, 1 },
                { "type beyond", MAGIC, _WIRE_TYPE_MAX, 8, 2, -EBADMSG },
                { "negative type", MAGIC, UINT32_MAX, 8, 0, -EBADMSG },
                { "largest", MAGIC, WIRE_EXEC, 8 + WIRE_MESSAGE_MAX, 1, 1 },
                { "too large", MAGIC, WIRE_EXEC, 8 + WIRE_MESSAGE_MAX + 1, 0, -EBADMSG },
                { "much too large, with descriptors", MAGIC, WIRE_EXEC, 100000, 2, -EBADMSG },
                { "four descriptors", MAGIC, WIRE_STARTED, 8, 4, 1 },
                { "five descriptors", MAGIC, WIRE_STARTED, 8, 5, -EBADMSG },
                { "as many descriptors as there can be", MAGIC, WIRE_STARTED, 8, 253, -EBADMSG },
        };
        static unsigned char data[100000];

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_pair_ int sockets[2];
                WireMessage message = { .n_fds = 4711 };

                connect_pair(sockets);
                memcpy(data, &table[i].magic, sizeof(uint32_t));
                memcpy(data + 4, &table[i].type, sizeof(uint32_t));
                int before = count_descriptors(0);
                send_raw(sockets[0], data, table[i].size, sockets[0], table[i].n_fds);
                assert_row(wire_receive(sockets[1], &message) == table[i].result, i, table[i].text);
                if (table[i].result > 0) {
                        assert_row(message.n_fds == table[i].n_fds, i, table[i].text);
                        wire_message_done(&message);
                }
                assert_row(count_descriptors(0) == before, i, table[i].text);

                /* The connection itself is not spoilt. */
                assert_int_equal(wire_send(sockets[0], WIRE_PONG, NULL, 0, NULL, 0), 0);
                assert_row(wire_receive(sockets[1], &message) == 1 && message.type == WIRE_PONG, i, table[i].text);
        }
}

/* Something else than descriptors comes along. */
static void test_foreign_control_message(_unused_ void **state) {
        _cleanup_pair_ int sockets[2];
        WireMessage message;
        int on = 1;

        connect_pair(sockets);
        assert_int_equal(setsockopt(sockets[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
        int before = count_descriptors(0);
        assert_int_equal(wire_send(sockets[0], WIRE_STARTED, &(WireStarted){ 0 }, sizeof(WireStarted), sockets, 2), 0);
        assert_int_equal(wire_receive(sockets[1], &message), -EBADMSG);
        assert_int_equal(count_descriptors(0), before);
}

static bool are_equal(char *const *a, char *const *b) {
        while (*a && *b)
                if (!streq(*a++, *b++))
                        return false;
        return !*a && !*b;
}

static void test_exec_round_trip(_unused_ void **state) {
        static char *const argvs[][5] = {
                { (char *) "" },
                { (char *) "/bin/sh" },
                { (char *) "/bin/sh", (char *) "-e" },
                { (char *) "", (char *) "", (char *) "" },
                { (char *) "a", (char *) "", (char *) "b\n\xff", (char *) "" },
        };
        static char *const environments[][4] = {
                { NULL },
                { (char *) "A=b" },
                { (char *) "", (char *) "A=\n", (char *) "=" },
        };
        static const struct {
                uint32_t kill_timeout_msec;
                bool script, wants_stdin;
                const char *user, *directory;
                char *directories[3], *shared[3];
        } table[] = {
                { 0, false, false, "", "", { NULL }, { NULL } },
                { 10000, true, false, "me", "", { (char *) "/builds", (char *) "/cache" }, { NULL } },
                { UINT32_MAX, false, true, "", "/x y", { (char *) "" }, { (char *) "/a", (char *) "/b c" } },
                { 1, true, true, "1:2", "/", { NULL }, { (char *) "" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(argvs); i++)
                for (size_t j = 0; j < ELEMENTSOF(environments); j++)
                        for (size_t k = 0; k < ELEMENTSOF(table); k++) {
                                WireExec parsed, exec = { .kill_timeout_msec = table[k].kill_timeout_msec,
                                                          .wants_stdin = table[k].wants_stdin,
                                                          .wants_terminal = table[k].script,
                                                          .rows = 33,
                                                          .columns = UINT16_MAX,
                                                          .user = table[k].user,
                                                          .directory = table[k].directory,
                                                          .directories = (char **) table[k].directories,
                                                          .in_helper = table[k].shared[0],
                                                          .shared = (char **) table[k].shared,
                                                          .argv = (char **) argvs[i],
                                                          .environment = (char **) environments[j] };
                                _cleanup_pair_ int sockets[2];
                                WireMessage message;

                                connect_pair(sockets);
                                int script_fd = table[k].script ? sockets[0] : -EBADF;
                                assert_int_equal(wire_send_exec(sockets[0], &exec, script_fd, -EBADF), 0);
                                assert_int_equal(wire_receive(sockets[1], &message), 1);
                                assert_int_equal(message.type, WIRE_EXEC);
                                assert_int_equal(message.n_fds, table[k].script);
                                assert_int_equal(wire_parse_exec(&message, &parsed), 0);
                                assert_row(are_equal(parsed.argv, exec.argv), i, exec.argv[0]);
                                assert_row(are_equal(parsed.environment, exec.environment), j, "environment");
                                assert_row(are_equal(parsed.directories, exec.directories), k, "directories");
                                assert_row(are_equal(parsed.shared, exec.shared), k, "shared");
                                assert_int_equal(parsed.in_helper, exec.in_helper);
                                assert_int_equal(parsed.kill_timeout_msec, exec.kill_timeout_msec);
                                assert_int_equal(parsed.wants_stdin, exec.wants_stdin);
                                assert_int_equal(parsed.wants_terminal, exec.wants_terminal);
                                assert_int_equal(parsed.rows, exec.rows);
                                assert_int_equal(parsed.columns, exec.columns);
                                assert_string_equal(parsed.user, exec.user);
                                assert_string_equal(parsed.directory, exec.directory);
                                /* There is room for one argument more. */
                                size_t n = strv_length(parsed.argv);
                                parsed.argv[n] = (char *) "script";
                                parsed.argv[n + 1] = NULL;
                                wire_exec_done(&parsed);
                                wire_message_done(&message);
                        }
}

/* What is not given is as if it were empty. */
static void test_exec_defaults(_unused_ void **state) {
        char *argv[] = { (char *) "x", NULL };
        WireExec exec = { .argv = argv }, parsed;
        _cleanup_pair_ int sockets[2];
        WireMessage message;

        connect_pair(sockets);
        assert_int_equal(wire_send_exec(sockets[0], &exec, -EBADF, -EBADF), 0);
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        assert_int_equal(wire_parse_exec(&message, &parsed), 0);
        assert_string_equal(parsed.user, "");
        assert_string_equal(parsed.directory, "");
        assert_null(parsed.environment[0]);
        assert_null(parsed.directories[0]);
        assert_null(parsed.shared[0]);
        assert_false(parsed.in_helper);
        wire_exec_done(&parsed);
        wire_exec_done(&parsed); /* twice is fine */
}

#define EXEC_HEADER_BYTES (10 * sizeof(uint32_t))
#define EXEC_FIXED_BYTES (EXEC_HEADER_BYTES + 2) /* user and directory, empty */
#define EXEC_ARGUMENTS_MAX (WIRE_STRINGS_MAX - 2)

static void test_exec_limits(_unused_ void **state) {
        char *argv[EXEC_ARGUMENTS_MAX + 2] = { NULL }, *environment[] = { (char *) "A=b", NULL };
        WireExec exec = { .argv = argv }, parsed;
        _cleanup_pair_ int sockets[2];
        WireMessage message;

        connect_pair(sockets);
        /* No program at all can be said, but is not understood. */
        assert_int_equal(wire_send_exec(sockets[0], &exec, -EBADF, -EBADF), 0);
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        assert_int_equal(wire_parse_exec(&message, &parsed), -EBADMSG);

        for (size_t i = 0; i < EXEC_ARGUMENTS_MAX; i++)
                argv[i] = (char *) "x";
        assert_int_equal(wire_send_exec(sockets[0], &exec, -EBADF, -EBADF), 0);
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        assert_int_equal(wire_parse_exec(&message, &parsed), 0);
        assert_int_equal(strv_length(parsed.argv), EXEC_ARGUMENTS_MAX);
        wire_exec_done(&parsed);

        exec.environment = environment;
        assert_int_equal(wire_send_exec(sockets[0], &exec, -EBADF, -EBADF), -EMSGSIZE);
        exec.environment = NULL;
        argv[EXEC_ARGUMENTS_MAX] = (char *) "x";
        assert_int_equal(wire_send_exec(sockets[0], &exec, -EBADF, -EBADF), -EMSGSIZE);

        /* The longest string that fits, beside what there always is and its own end. */
        size_t length = WIRE_MESSAGE_MAX - EXEC_FIXED_BYTES - 1;
        _cleanup_free_ char *longest = malloc(WIRE_MESSAGE_MAX);
        memset(longest, 'x', WIRE_MESSAGE_MAX);
        longest[length] = 0;
        argv[0] = longest;
        argv[1] = NULL;
        assert_int_equal(wire_send_exec(sockets[0], &exec, -EBADF, -EBADF), 0);
        assert_int_equal(wire_receive(sockets[1], &message), 1);
        assert_int_equal(wire_parse_exec(&message, &parsed), 0);
        assert_string_equal(parsed.argv[0], longest);
        wire_exec_done(&parsed);
        longest[length] = 'x';
        longest[length + 1] = 0;
        assert_int_equal(wire_send_exec(sockets[0], &exec, -EBADF, -EBADF), -EMSGSIZE);
        assert_int_equal(wire_receive(sockets[1], &message), -EAGAIN);
}

/* What is no truth value is refused. */
static void test_exec_hostile_flags(_unused_ void **state) {
        for (uint32_t value = 0; value < 3; value++)
                for (size_t i = 0; i < 4; i++) {
                        WireMessage message = { .type = WIRE_EXEC, .size = EXEC_FIXED_BYTES + 1, .n_fds = 1 };
                        WireExec exec = { 0 };
                        const bool *const flags[] = { &exec.wants_terminal, &exec.in_helper, &exec.has_variables,
                                                      &exec.wants_variables };

                        memcpy(message.payload + (5 + i) * sizeof(uint32_t), &value, sizeof(uint32_t));
                        assert_int_equal(wire_parse_exec(&message, &exec), value > 1 ? -EBADMSG : 0);
                        assert_int_equal(*flags[i], value == 1);
                        wire_exec_done(&exec);
                }

        /* Variables that are not there. */
        WireMessage message = { .type = WIRE_EXEC, .size = EXEC_FIXED_BYTES + 1 };
        WireExec exec = { 0 };
        memcpy(message.payload + 7 * sizeof(uint32_t), &(uint32_t){ 1 }, sizeof(uint32_t));
        assert_int_equal(wire_parse_exec(&message, &exec), -EBADMSG);
}

static void test_exec_hostile(_unused_ void **state) {
        static const struct {
                const char *text;
                uint32_t wants_stdin, n_directories, n_shared, n_environment;
                size_t size;
                const char *payload; /* after the numbers; NUL-filled up to size */
                int result;
        } table[] = {
                { "empty", 0, 0, 0, 0, 0, "", -EBADMSG },
                { "part of the numbers", 0, 0, 0, 0, 3, "", -EBADMSG },
                { "only the numbers", 0, 0, 0, 0, 40, "", -EBADMSG },
                { "user", 0, 0, 0, 0, 41, "", -EBADMSG },
                { "user and directory", 0, 0, 0, 0, 42, "", -EBADMSG },
                { "one empty argument", 0, 0, 0, 0, 43, "", 0 },
                { "no end", 0, 0, 0, 0, 43, "abc", -EBADMSG },
                { "one variable for all strings", 0, 0, 0, 1, 43, "", -EBADMSG },
                { "one variable for four strings", 0, 0, 0, 1, 44, "", 0 },
                { "more variables than strings", 0, 0, 0, 5, 44, "", -EBADMSG },
                { "as many variables as there are numbers", 0, 0, 0, UINT32_MAX, 44, "", -EBADMSG },
                { "one directory for all strings", 0, 1, 0, 0, 43, "", -EBADMSG },
                { "one directory and one variable for four strings", 0, 1, 0, 1, 44, "", -EBADMSG },
                { "one directory and one variable for five strings", 0, 1, 0, 1, 45, "", 0 },
                { "numbers that are four together", 0, UINT32_MAX, 0, 5, 46, "", -EBADMSG },
                { "one shared path for all strings", 0, 0, 1, 0, 43, "", -EBADMSG },
                { "one shared path for four strings", 0, 0, 1, 0, 44, "", 0 },
                { "one of each kind for five strings", 0, 1, 1, 1, 45, "", -EBADMSG },
                { "one of each kind for six strings", 0, 1, 1, 1, 46, "", 0 },
                { "numbers that are two together", 0, 1, UINT32_MAX, 2, 46, "", -EBADMSG },
                { "stdin", 1, 0, 0, 0, 43, "", 0 },
                { "something else than stdin", 2, 0, 0, 0, 43, "", -EBADMSG },
                { "as many strings as there may be", 0, 0, 0, 0, 40 + WIRE_STRINGS_MAX, "", 0 },
                { "one string more", 0, 0, 0, 0, 40 + WIRE_STRINGS_MAX + 1, "", -EBADMSG },
                { "nothing but strings", 0, 0, 0, 0, WIRE_MESSAGE_MAX, "", -EBADMSG },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                WireExec untouched = { .argv = (char **) table }, exec = untouched;
                WireMessage message = { .type = WIRE_EXEC, .size = table[i].size };

                memcpy(message.payload + 4, &table[i].wants_stdin, sizeof(uint32_t));
                memcpy(message.payload + 8, &table[i].n_directories, sizeof(uint32_t));
                memcpy(message.payload + 12, &table[i].n_shared, sizeof(uint32_t));
                memcpy(message.payload + 16, &table[i].n_environment, sizeof(uint32_t));
                memcpy(message.payload + EXEC_HEADER_BYTES, table[i].payload, strlen(table[i].payload));
                assert_row(wire_parse_exec(&message, &exec) == table[i].result, i, table[i].text);
                if (table[i].result < 0)
                        assert_row(exec.argv == untouched.argv, i, table[i].text);
                else
                        wire_exec_done(&exec);
        }
}

static void test_exited(_unused_ void **state) {
        static const struct {
                int32_t code, status;
                int result;
        } table[] = {
                { CLD_EXITED, 0, 0 },
                { CLD_EXITED, 42, 0 },
                { CLD_EXITED, 255, 0 },
                { CLD_EXITED, 256, -EBADMSG },
                { CLD_EXITED, -1, -EBADMSG },
                { CLD_EXITED, INT32_MIN, -EBADMSG },
                { CLD_KILLED, 1, 0 },
                { CLD_KILLED, 9, 0 },
                { CLD_KILLED, 64, 0 },
                { CLD_KILLED, 65, -EBADMSG },
                { CLD_KILLED, 0, -EBADMSG },
                { CLD_KILLED, -9, -EBADMSG },
                { CLD_KILLED, INT32_MAX, -EBADMSG },
                { CLD_DUMPED, 11, 0 },
                { CLD_DUMPED, 0, -EBADMSG },
                { CLD_STOPPED, 19, -EBADMSG },
                { CLD_CONTINUED, 18, -EBADMSG },
                { CLD_TRAPPED, 5, -EBADMSG },
                { 0, 0, -EBADMSG },
                { -1, 0, -EBADMSG },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                WireExited exited = { table[i].code, table[i].status }, parsed = { 4711, 4711 };
                WireMessage message = { .type = WIRE_EXITED, .size = sizeof(exited) };

                memcpy(message.payload, &exited, sizeof(exited));
                assert_row(wire_parse_exited(&message, &parsed) == table[i].result, i, "exited");
                if (table[i].result < 0)
                        assert_row(parsed.code == 4711 && parsed.status == 4711, i, "untouched");
                else
                        assert_row(parsed.code == exited.code && parsed.status == exited.status, i, "parsed");
                for (size_t size = 0; size < 32; size++)
                        if (size != sizeof(exited)) {
                                message.size = size;
                                assert_row(wire_parse_exited(&message, &parsed) == -EBADMSG, i, "size");
                        }
        }
}

static void test_started(_unused_ void **state) {
        for (uint32_t is_bash = 0; is_bash < 3; is_bash++)
                for (size_t size = 0; size <= 2 * sizeof(WireStarted); size++) {
                        WireMessage message = { .type = WIRE_STARTED, .size = size };
                        WireStarted parsed = { 4711 };
                        bool fine = size == sizeof(WireStarted) && is_bash < 2;

                        memcpy(message.payload, &is_bash, sizeof(is_bash));
                        assert_row(wire_parse_started(&message, &parsed) == (fine ? 0 : -EBADMSG), size, "started");
                        assert_row(parsed.is_bash == (fine ? is_bash : 4711), size, "parsed");
                }
}

static void test_failed(_unused_ void **state) {
        static const struct {
                uint32_t cause;
                int32_t error;
                int result;
        } table[] = {
                { WIRE_CAUSE_AGENT, ENOMEM, 0 },
                { WIRE_CAUSE_SHELL, ENOENT, 0 },
                { WIRE_CAUSE_SHELL, 4095, 0 },
                { WIRE_CAUSE_SHELL, 4096, -EBADMSG },
                { WIRE_CAUSE_SHELL, 0, -EBADMSG },
                { WIRE_CAUSE_AGENT, -ENOMEM, -EBADMSG },
                { WIRE_CAUSE_AGENT, INT32_MIN, -EBADMSG },
                { 0, ENOENT, -EBADMSG },
                { _WIRE_CAUSE_MAX, ENOENT, -EBADMSG },
                { UINT32_MAX, ENOENT, -EBADMSG },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                WireFailed failed = { table[i].cause, table[i].error }, parsed = { 4711, 4711 };
                WireMessage message = { .type = WIRE_FAILED, .size = sizeof(failed) };

                memcpy(message.payload, &failed, sizeof(failed));
                assert_row(wire_parse_failed(&message, &parsed) == table[i].result, i, "failed");
                if (table[i].result < 0)
                        assert_row(parsed.cause == 4711 && parsed.error == 4711, i, "untouched");
                else
                        assert_row(parsed.cause == failed.cause && parsed.error == failed.error, i, "parsed");
                message.size = sizeof(failed) - 1;
                assert_row(wire_parse_failed(&message, &parsed) == -EBADMSG, i, "size");
                message.size = sizeof(failed) + 1;
                assert_row(wire_parse_failed(&message, &parsed) == -EBADMSG, i, "size");
        }
}

static void test_notice(_unused_ void **state) {
        static const struct {
                uint32_t kind;
                int32_t detail;
                int result;
        } table[] = {
                { WIRE_NOTICE_NOT_EXECUTED, ENOENT, 0 },
                { WIRE_NOTICE_FAILED, 255, 0 },
                { WIRE_NOTICE_KILLED, SIGSEGV, 0 },
                { WIRE_NOTICE_HANGS, 0, 0 },
                { WIRE_NOTICE_SILENT, 0, 0 },
                { WIRE_NOTICE_NOT_EXECUTED, 4096, -EBADMSG },
                { WIRE_NOTICE_NOT_EXECUTED, -1, -EBADMSG },
                { WIRE_NOTICE_KILLED, 0, -EBADMSG },
                { WIRE_NOTICE_KILLED, NSIG, -EBADMSG },
                { 0, 0, -EBADMSG },
                { _WIRE_NOTICE_MAX, 0, -EBADMSG },
                { UINT32_MAX, 0, -EBADMSG },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                WireNotice notice = { table[i].kind, table[i].detail }, parsed = { 4711, 4711 };
                WireMessage message = { .type = WIRE_NOTICE, .size = sizeof(notice) };

                memcpy(message.payload, &notice, sizeof(notice));
                assert_row(wire_parse_notice(&message, &parsed) == table[i].result, i, "notice");
                if (table[i].result < 0)
                        assert_row(parsed.kind == 4711 && parsed.detail == 4711, i, "untouched");
                else
                        assert_row(parsed.kind == notice.kind && parsed.detail == notice.detail, i, "parsed");
                message.size = sizeof(notice) - 1;
                assert_row(wire_parse_notice(&message, &parsed) == -EBADMSG, i, "size");
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notice),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_take_descriptor),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_send_limits),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_foreign_control_message),
        cmocka_unit_test(test_exec_round_trip),
        cmocka_unit_test(test_exec_defaults),
        cmocka_unit_test(test_exec_limits),
        cmocka_unit_test(test_exec_hostile),
        cmocka_unit_test(test_exec_hostile_flags),
        cmocka_unit_test(test_exited),
        cmocka_unit_test(test_started),
        cmocka_unit_test(test_failed),
};
UNIT_FILE(tests);
