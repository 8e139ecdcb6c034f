/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "agent/agent.h"

/* The container's first process if the image's systemd starts on first use. Until then it is a small init with the
 * sockets at which programs ask for systemd; the agent is its child. */

/* --- init.c --- */

/* Starts the agent with @listen_fd as a child, and again whenever it is killed. Executes @program, the image's
 * systemd, as soon as somebody uses one of the sockets. If that fails, it tells the agent, and the next use tries
 * again. On the signals that ask an init to, ends or reboots the container. Returns only when it cannot begin, with
 * -errno. */
int init_run(int listen_fd, const char *program);

/* --- init-sockets.c --- */

/* The socket at which root's systemctl reaches systemd. systemd makes it anew: it takes over no socket with that
 * path. */
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

/* Makes the sockets, and the directory by which programs see that systemd runs: as systemd does, and as the image's
 * units say that are not masked. Nothing of the image runs yet. Best effort. */
void init_sockets_open(InitSockets *ret);
/* Ends all connections that wait at them, and throws waiting messages away. */
void init_sockets_refuse(const InitSockets *sockets);
void init_sockets_done(InitSockets *sockets);

/* --- relay.c --- */

/* Runs in a process of its own. When @go_fd reaches its end, PID 1 has become systemd; a byte instead means that it
 * has not, and this returns. Waits for systemd's own socket at INIT_PRIVATE_SOCKET, and connects with it the
 * connections that wait at sockets->private_fd, only root's, each in a child that ends with it. If systemd does not
 * come, tells @notice_fd. */
void relay_run(const InitSockets *sockets, const Surroundings *surroundings, int go_fd, int notice_fd);

/* --- notice.c --- */

/* What became of the image's systemd, which the agent tells the host. */
typedef WireNotice Notice;

/* Both ends are non-blocking: a notice that nobody reads is lost. */
int notice_pipe(int ret[static 2]);
void notice_send(int notice_fd, WireNoticeKind kind, int detail);
/* 1 with *ret; 0: none; -EPIPE: there will be none any more. */
int notice_receive(int notice_fd, WireNotice *ret);

/* --- standby.c --- */

/* The agent that the image's systemd starts waits here until the end of the one that served before: process @pid,
 * which started at @start (as process_start_time() says). What cannot be found out counts as ended: two agents at one
 * socket do no harm. */
void standby_wait(const char *pid, const char *start);
/* The start time of @pid, from /proc of @surroundings; 0: not known. */
uint64_t standby_start_time(const Surroundings *surroundings, pid_t pid);
