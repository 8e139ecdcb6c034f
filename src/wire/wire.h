/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the host and the agent inside a container say to each other: one SOCK_SEQPACKET message each, native byte order
 * (both ends run on one machine), descriptors attached with SCM_RIGHTS.
 *
 *      host                              agent
 *      PING                        ->
 *                                  <-    PONG, or FAILED: the image's systemd, or the service that the
 *                                        container is for, cannot be executed
 *
 *      EXEC (+ memfd of a script,  ->
 *       memfd of variables)
 *                                  <-    STARTED (+ read ends of the step's stdout and stderr, if EXEC asked for it the
 *                                        write end of its stdin, and, where the kernel lets the agent have one, a
 *                                        pidfd of the program; of a step on a terminal, instead of the three ends, the
 *                                        master of that)
 *                                  <-    FAILED, instead or afterwards
 *      KILL                        ->                                         (cancels the step)
 *                                  <-    NOTICE, any number of times after STARTED
 *                                  <-    EXITED
 *      (closes)
 *
 * Before anything of the image runs, and on a socket that only the two have:
 *
 *      supervise                         agent
 *                                  <-    NETWORK (+ the container's network namespace)
 *      CONNECTED                   ->                                         (its interface is there)
 *
 * One connection carries one step. A connection that the host closes before EXITED cancels its step. One that the agent
 * closes tells that the agent was killed; the program may go on, and the pidfd tells of its end. Everything in a
 * message from the agent is hostile: processes of the job can take the agent's place. */

/* Where the host binds the agent's binary in the container. agent/units.c also has this path as the name of a unit. */
#define AGENT_INSIDE "/run/nspawn-runner-agent"

/* Where the host binds programs that the image may lack: bash, and GitLab Runner's program in a directory for the PATH
 * of GitLab's own stages. Either may be missing. */
#define TOOLS_INSIDE "/run/nspawn-runner-tools"
#define TOOL_BASH TOOLS_INSIDE "/bash"
#define TOOLS_PATH TOOLS_INSIDE "/bin"

/* Where the helper image's root is mounted, in containers that have it. */
#define HELPER_INSIDE "/run/nspawn-runner-helper"

/* In the environment of the agent as PID 1, if the image is one of a registry, which was made for Docker: the directory of the
 * project, or nothing. */
#define WIRE_OF_REGISTRY "NSPAWN_RUNNER_OF_REGISTRY"

#define WIRE_MESSAGE_MAX 65536U
#define WIRE_FDS_MAX 4U
#define WIRE_STRINGS_MAX 256U
/* The limit for the variables that the agent keeps. */
#define WIRE_VARIABLES_MAX_BYTES ((size_t) 4 * 1024 * 1024)

typedef enum WireType {
        WIRE_PING = 1,
        WIRE_PONG,
        WIRE_EXEC,
        WIRE_STARTED,
        WIRE_KILL,
        WIRE_EXITED,
        WIRE_FAILED,
        WIRE_NETWORK,
        WIRE_CONNECTED, /* the payload is a string: lines of /etc/hosts */
        WIRE_NOTICE,
        _WIRE_TYPE_MAX,
} WireType;

/* What kept a step from starting. */
typedef enum WireCause {
        WIRE_CAUSE_AGENT = 1, /* the agent or the container: our fault */
        WIRE_CAUSE_SHELL,     /* the program, or the image's systemd, cannot be executed: the image's fault */
        WIRE_CAUSE_USER,      /* the image has no such user or group */
        WIRE_CAUSE_DIRECTORY, /* the directory can be neither entered nor made */
        WIRE_CAUSE_HELPER,    /* the helper's root cannot be entered */
        _WIRE_CAUSE_MAX,
} WireCause;

/* Why the image's systemd, which a program in the container asked for, does not run. That program got an error. */
typedef enum WireNoticeKind {
        WIRE_NOTICE_NOT_EXECUTED = 1, /* it cannot be executed; detail: errno */
        WIRE_NOTICE_FAILED,           /* it was tried and ended; detail: exit status */
        WIRE_NOTICE_KILLED,           /* it was tried and was killed; detail: signal */
        WIRE_NOTICE_HANGS,            /* it was tried and did not end */
        WIRE_NOTICE_SILENT,           /* it was started and does not answer */
        _WIRE_NOTICE_MAX,
} WireNoticeKind;

/* A received message. */
typedef struct WireMessage {
        WireType type;
        size_t size;           /* of the payload */
        int fds[WIRE_FDS_MAX]; /* -EBADF where there is none */
        size_t n_fds;
        /* Aligned for the structs below. */
        _Alignas(8) unsigned char payload[WIRE_MESSAGE_MAX];
} WireMessage;

/* Closes the descriptors of a message that nobody took. */
void wire_message_done(WireMessage *message);

/* Payload of EXEC, in memory. `argv` is the program and its arguments; the script, where one is attached, becomes the
 * last. An empty argv[0] stands for the default shell: the image's bash, else TOOL_BASH, else /bin/sh; any other name
 * without a slash is looked up in PATH. In a parsed message, the strings belong to the message. */
typedef struct WireExec {
        uint32_t kill_timeout_msec; /* from SIGTERM to SIGKILL when the step is cancelled */
        bool wants_stdin;           /* a pipe, whose write end comes with STARTED; else stdin is /dev/null */
        bool wants_terminal;        /* a pseudo-terminal instead of all pipes: the step's controlling terminal */
        uint16_t rows, columns;     /* the terminal's size at the beginning */
        const char *user;           /* USER[:GROUP], names or numbers, as an image has them; NULL or "": root */
        const char *directory;      /* where it starts, made if need be; NULL or "": home, else / */
        char **directories;         /* NULL-terminated: made for the user if they are not there; may be NULL */
        /* The step's root is the helper's: files and directories of the container that it needs are mounted there,
         * those in @shared (NULL-terminated, absolute; may be NULL) among them, as far as they are there. User and
         * directories are still the container's; argv[0] is empty or has a slash. */
        bool in_helper;
        char **shared;
        /* Variables are attached: "NAME=VALUE" items, each with a NUL byte behind it. The agent keeps them until others
         * come. */
        bool has_variables;
        /* The step gets the variables that the agent keeps, over all others. */
        bool wants_variables;
        char **argv;        /* NULL-terminated */
        char **environment; /* NULL-terminated "NAME=VALUE"s that go over the agent's own; may be NULL */
} WireExec;

typedef struct WireStarted {
        uint32_t is_bash; /* is the program bash, by its name? 0 or 1 */
} WireStarted;

typedef struct WireExited {
        int32_t code;   /* CLD_EXITED, CLD_KILLED or CLD_DUMPED, as si_code of waitid(2) */
        int32_t status; /* exit status or signal number */
} WireExited;

typedef struct WireFailed {
        uint32_t cause; /* WireCause */
        int32_t error;  /* positive errno */
} WireFailed;

typedef struct WireNotice {
        uint32_t kind; /* WireNoticeKind */
        int32_t detail;
} WireNotice;

/* Sends one message; the descriptors stay the caller's. 0 or -errno (-EPIPE, -ECONNRESET: the other end is gone;
 * -EMSGSIZE). Waits where the socket is blocking. */
int wire_send(int socket_fd, WireType type, const void *payload, size_t size, const int *fds, size_t n_fds);

/* Receives one message. Returns 1; 0 at the end of the connection; -EBADMSG: it is not one of our messages (its
 * descriptors are closed); or another -errno (-EAGAIN: there is none yet). After 1, call wire_message_done(). */
int wire_receive(int socket_fd, WireMessage *message);
/* The same where no descriptors are expected: a message with some is -EBADMSG, and we never get them. It is the kernel that
 * drops them then: closing one of FUSE would wait for whoever sent it. Nothing is to be done with the message after 1. */
int wire_receive_plain(int socket_fd, WireMessage *message);

/* Sends an EXEC message. @script_fd is the script, negative: none; @variables_fd is sent if exec->has_variables. The
 * descriptors stay the caller's. 0; -EMSGSIZE: it does not fit into a message; or another -errno. */
int wire_send_exec(int socket_fd, const WireExec *exec, int script_fd, int variables_fd);
/* Parses the payload of an EXEC in place: 0, -EBADMSG, or -ENOMEM. After 0, call wire_exec_done(); the strings live as
 * long as @message. */
int wire_parse_exec(WireMessage *message, WireExec *ret);
/* Frees the arrays that wire_parse_exec() made; the strings are not freed. */
void wire_exec_done(WireExec *exec);

/* These read payloads of fixed size. 0; or -EBADMSG: the size is wrong, or a value is outside its enumeration or
 * range. */
int wire_parse_started(const WireMessage *message, WireStarted *ret);
int wire_parse_exited(const WireMessage *message, WireExited *ret);
int wire_parse_failed(const WireMessage *message, WireFailed *ret);
int wire_parse_notice(const WireMessage *message, WireNotice *ret);
