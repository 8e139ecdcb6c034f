/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "agent/agent.h"

/* The container's first process where the image's systemd starts on first use: until then a small init with the sockets
 * that programs ask systemd by, beside the agent, which is its child. */

/* --- init.c --- */

/* Starts the agent with @listen_fd as a child, and again whenever it is killed. Executes @program, the image's systemd, as
 * soon as somebody uses one of the sockets; when that cannot be, the agent is told, and the next use tries again. Ends
 * or reboots the container on the signals that ask an init to. Returns only when it cannot begin, with -errno. */
int init_run(int listen_fd, const char *program);

/* --- init-sockets.c --- */

/* By which root's systemctl reaches systemd. systemd makes it anew: it takes over no socket of that path. */
#ifndef INIT_PRIVATE_SOCKET /* the tests have their own */
#define INIT_PRIVATE_SOCKET "/run/systemd/private"
#endif

#define INIT_SOCKETS_MAX 8U

typedef struct InitSockets {
        int private_fd;            /* negative: it could not be made */
        struct stat private_inode; /* what it is in the file system */
        struct {
                int fd, type;
        } passed[INIT_SOCKETS_MAX]; /* those that systemd takes over */
        size_t n_passed;
} InitSockets;

/* Makes what programs look for to see whether systemd runs, and the sockets: as systemd does, and as the units of the
 * image say which are not masked. Nothing of the image runs yet. Best effort. */
void init_sockets_open(InitSockets *ret);
/* Ends all connections that wait at them, and throws waiting messages away. */
void init_sockets_refuse(const InitSockets *sockets);
void init_sockets_done(InitSockets *sockets);

/* --- relay.c --- */

/* In a process of its own: once reading @go_fd comes to its end, the process that was PID 1 has become systemd (a byte
 * instead: it has not; returns then). Waits for systemd's own socket at INIT_PRIVATE_SOCKET, and connects those that
 * wait at sockets->private_fd with it, root's only, each in a child that ends with it. When systemd does not come, tells
 * @notice_fd. */
void relay_run(const InitSockets *sockets, const Surroundings *surroundings, int go_fd, int notice_fd);

/* --- notice.c --- */

/* What became of the image's systemd, for the agent to tell the host. */
typedef WireNotice Notice;

/* Both ends are non-blocking: a notice that nobody reads is lost. */
int notice_pipe(int ret[static 2]);
void notice_send(int notice_fd, WireNoticeKind kind, int detail);
/* 1 with *ret; 0: none; -EPIPE: there will be none any more. */
int notice_receive(int notice_fd, WireNotice *ret);

/* --- standby.c --- */

/* The agent that the image's systemd starts waits until the one that served before systemd began, process @pid that
 * started at @start (as process_start_time() says), has ended. What cannot be found out counts as ended: two agents at
 * one socket do no harm. */
void standby_wait(const char *pid, const char *start);
/* When @pid started, by /proc of @surroundings: 0 when it cannot be said. */
uint64_t standby_start_time(const Surroundings *surroundings, pid_t pid);
