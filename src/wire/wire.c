/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Packs and unpacks the messages between host and agent. Both ends call this. Received messages are not trusted: sizes,
 * counts, strings, values and descriptors must be checked before anything in a message is used, and unexpected
 * descriptors must be closed. */

#include "wire/wire.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"

/* "nspr" and the version: an agent of another version is an error at once, not a misunderstanding later. */
#define WIRE_MAGIC UINT32_C(0x6e737006)

typedef struct WireHeader {
        uint32_t magic;
        uint32_t type;
} WireHeader;

void wire_message_done(WireMessage *message) {
        for (size_t i = 0; i < message->n_fds; i++)
                closep(&message->fds[i]);
        message->n_fds = 0;
}

static int send_parts(int socket_fd, WireType type, struct iovec *parts, size_t n_parts, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
        } control = { 0 };
        WireHeader header = { .magic = WIRE_MAGIC, .type = type };

        parts[0] = (struct iovec){ .iov_base = &header, .iov_len = sizeof(header) };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = n_parts };
        if (n_fds > WIRE_FDS_MAX)
                return -E2BIG;
        if (n_fds > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
        }

        for (;;) {
                if (sendmsg(socket_fd, &message, MSG_NOSIGNAL) >= 0)
                        return 0;
                if (errno != EINTR)
                        return -errno;
        }
}

int wire_send(int socket_fd, WireType type, const void *payload, size_t size, const int *fds, size_t n_fds) {
        struct iovec parts[2] = { [1] = { .iov_base = (void *) payload, .iov_len = size } };

        if (size > WIRE_MESSAGE_MAX)
                return -EMSGSIZE;
        return send_parts(socket_fd, type, parts, 2, fds, n_fds);
}

static int receive(int socket_fd, bool with_fds, WireMessage *message) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
        } control;
        WireHeader wire_header = { 0 };
        struct iovec parts[2] = {
                { .iov_base = &wire_header, .iov_len = sizeof(wire_header) },
                { .iov_base = message->payload, .iov_len = sizeof(message->payload) },
        };
        struct msghdr header = {
                .msg_iov = parts,
                .msg_iovlen = 2,
                .msg_control = with_fds ? &control : NULL,
                .msg_controllen = with_fds ? sizeof(control) : 0,
        };
        ssize_t n;

        while ((n = recvmsg(socket_fd, &header, MSG_CMSG_CLOEXEC)) < 0)
                if (errno != EINTR)
                        return -errno;

        for (size_t i = 0; i < WIRE_FDS_MAX; i++)
                message->fds[i] = -EBADF;
        bool fine = fds_take(&header, message->fds, WIRE_FDS_MAX, &message->n_fds);
        /* An empty message and the end of the connection look alike; we never send an empty one. */
        if (n == 0) {
                wire_message_done(message);
                return 0;
        }
        if (!fine || (header.msg_flags & MSG_TRUNC) || (size_t) n < sizeof(wire_header) ||
            wire_header.magic != WIRE_MAGIC || wire_header.type == 0 || wire_header.type >= _WIRE_TYPE_MAX) {
                wire_message_done(message);
                return -EBADMSG;
        }
        message->type = (WireType) wire_header.type;
        message->size = (size_t) n - sizeof(wire_header);
        return 1;
}

int wire_receive(int socket_fd, WireMessage *message) {
        return receive(socket_fd, true, message);
}

int wire_receive_plain(int socket_fd, WireMessage *message) {
        return receive(socket_fd, false, message);
}

/* Strings follow, each with a NUL byte behind it: user, directory, directories, shared, environment, arguments. */
typedef struct ExecHeader {
        uint32_t kill_timeout_msec;
        uint32_t wants_stdin;
        uint32_t n_directories;
        uint32_t n_shared;
        uint32_t n_environment;
        uint32_t wants_terminal;
        uint32_t in_helper;
        uint32_t has_variables, wants_variables;
        uint16_t rows, columns;
} ExecHeader;

/* The parts of a message, and their size. */
typedef struct Parts {
        struct iovec vectors[2 + WIRE_STRINGS_MAX];
        size_t n, size;
} Parts;

static int add_string(Parts *parts, const char *s) {
        if (parts->n == ELEMENTSOF(parts->vectors))
                return -EMSGSIZE;
        parts->vectors[parts->n] = (struct iovec){ .iov_base = (void *) s, .iov_len = strlen(s) + 1 };
        parts->size += parts->vectors[parts->n++].iov_len;
        return 0;
}

/* Adds @strings to the parts, and their number to *n. */
static int add_strings(Parts *parts, char *const *strings, uint32_t *n) {
        for (; strings && *strings; strings++, (*n)++) {
                int r = add_string(parts, *strings);
                if (r < 0)
                        return r;
        }
        return 0;
}

int wire_send_exec(int socket_fd, const WireExec *exec, int script_fd, int variables_fd) {
        ExecHeader header = {
                .kill_timeout_msec = exec->kill_timeout_msec,
                .wants_stdin = exec->wants_stdin,
                .wants_terminal = exec->wants_terminal,
                .in_helper = exec->in_helper,
                .has_variables = exec->has_variables,
                .wants_variables = exec->wants_variables,
                .rows = exec->rows,
                .columns = exec->columns,
        };
        int fds[2];
        size_t n_fds = 0;
        Parts parts; /* not cleared, because only a part is used and every step comes through here */
        uint32_t n_arguments = 0;

        parts.vectors[1] = (struct iovec){ .iov_base = &header, .iov_len = sizeof(header) };
        parts.n = 2;
        parts.size = sizeof(header);
        if (add_string(&parts, exec->user ? exec->user : "") < 0 ||
            add_string(&parts, exec->directory ? exec->directory : "") < 0 ||
            add_strings(&parts, exec->directories, &header.n_directories) < 0 ||
            add_strings(&parts, exec->shared, &header.n_shared) < 0 ||
            add_strings(&parts, exec->environment, &header.n_environment) < 0 ||
            add_strings(&parts, exec->argv, &n_arguments) < 0 || parts.size > WIRE_MESSAGE_MAX)
                return -EMSGSIZE;
        if (script_fd >= 0)
                fds[n_fds++] = script_fd;
        if (exec->has_variables)
                fds[n_fds++] = variables_fd;
        return send_parts(socket_fd, WIRE_EXEC, parts.vectors, parts.n, fds, n_fds);
}

void wire_exec_done(WireExec *exec) {
        free(exec->argv);
        free(exec->environment);
        free(exec->directories);
        free(exec->shared);
        *exec = (WireExec){ 0 };
}

static char *next_string(char **p) {
        char *s = *p;

        *p += strlen(s) + 1;
        return s;
}

/* Takes the next @n strings as an array with room for @more, to be freed. NULL: memory ran out. */
static char **next_strings(char **p, size_t n, size_t more) {
        char **strings = calloc(n + more + 1, sizeof(char *));

        for (size_t i = 0; strings && i < n; i++)
                strings[i] = next_string(p);
        return strings;
}

int wire_parse_exec(WireMessage *message, WireExec *ret) {
        ExecHeader header;
        size_t n = 0;

        if (message->size <= sizeof(header) || message->payload[message->size - 1] != 0)
                return -EBADMSG;
        memcpy(&header, message->payload, sizeof(header));

        char *p = (char *) message->payload + sizeof(header), *end = (char *) message->payload + message->size;
        for (char *s = p; s < end; (void) next_string(&s))
                n++;
        /* There must be at least user, directory and a program. */
        if (n > WIRE_STRINGS_MAX || n < 3 || header.n_directories > n - 3 ||
            header.n_shared > n - 3 - header.n_directories ||
            header.n_environment > n - 3 - header.n_directories - header.n_shared || header.wants_stdin > 1 ||
            header.wants_terminal > 1 || header.in_helper > 1 || header.has_variables > 1 ||
            header.wants_variables > 1 || message->n_fds < header.has_variables)
                return -EBADMSG;

        size_t n_argv = n - 2 - header.n_directories - header.n_shared - header.n_environment;
        WireExec exec = {
                .kill_timeout_msec = header.kill_timeout_msec,
                .wants_stdin = header.wants_stdin,
                .wants_terminal = header.wants_terminal,
                .in_helper = header.in_helper,
                .has_variables = header.has_variables,
                .wants_variables = header.wants_variables,
                .rows = header.rows,
                .columns = header.columns,
        };
        exec.user = next_string(&p);
        exec.directory = next_string(&p);
        exec.directories = next_strings(&p, header.n_directories, 0);
        exec.shared = exec.directories ? next_strings(&p, header.n_shared, 0) : NULL;
        exec.environment = exec.shared ? next_strings(&p, header.n_environment, 0) : NULL;
        exec.argv = exec.environment ? next_strings(&p, n_argv, 1) : NULL; /* the receiver appends the script's path */
        if (!exec.argv) {
                wire_exec_done(&exec);
                return -ENOMEM;
        }
        *ret = exec;
        return 0;
}

static int parse_fixed(const WireMessage *message, void *ret, size_t size) {
        if (message->size != size)
                return -EBADMSG;
        memcpy(ret, message->payload, size);
        return 0;
}

int wire_parse_started(const WireMessage *message, WireStarted *ret) {
        WireStarted started;

        if (parse_fixed(message, &started, sizeof(started)) < 0 || started.is_bash > 1)
                return -EBADMSG;
        *ret = started;
        return 0;
}

int wire_parse_exited(const WireMessage *message, WireExited *ret) {
        WireExited exited;

        if (parse_fixed(message, &exited, sizeof(exited)) < 0)
                return -EBADMSG;
        switch (exited.code) {
        case CLD_EXITED:
                if (exited.status < 0 || exited.status > 255)
                        return -EBADMSG;
                break;
        case CLD_KILLED:
        case CLD_DUMPED:
                if (exited.status <= 0 || exited.status >= NSIG)
                        return -EBADMSG;
                break;
        default:
                return -EBADMSG;
        }
        *ret = exited;
        return 0;
}

int wire_parse_failed(const WireMessage *message, WireFailed *ret) {
        WireFailed failed;

        if (parse_fixed(message, &failed, sizeof(failed)) < 0)
                return -EBADMSG;
        if (failed.cause == 0 || failed.cause >= _WIRE_CAUSE_MAX || failed.error <= 0 || failed.error >= 4096)
                return -EBADMSG;
        *ret = failed;
        return 0;
}

int wire_parse_notice(const WireMessage *message, WireNotice *ret) {
        WireNotice notice;

        if (parse_fixed(message, &notice, sizeof(notice)) < 0)
                return -EBADMSG;
        if (notice.kind == 0 || notice.kind >= _WIRE_NOTICE_MAX || notice.detail < 0 || notice.detail >= 4096 ||
            (notice.kind == WIRE_NOTICE_KILLED && (notice.detail == 0 || notice.detail >= NSIG)))
                return -EBADMSG;
        *ret = notice;
        return 0;
}
