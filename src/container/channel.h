/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The host's side of the socket that the agent of a job listens on: `<job directory>/agent.sock`. */

#define CHANNEL_SOCKET "agent.sock"

/* Makes the socket in the job's directory and listens. The descriptor, which has close-on-exec set, is for the
 * container's first process. Returns it or -errno. */
int channel_listen(const char *job_directory);

/* Connects to the agent's socket; the connection is blocking. Returns the descriptor; -ENOENT: the job has no socket;
 * -ECONNREFUSED: nobody listens any more, so the container has ended; -ETIMEDOUT: nobody takes the connection within some
 * seconds; or another -errno. */
int channel_connect(const char *job_directory);
/* The same with this limit. -EINTR: @signal_fd (negative: none) is readable. */
int channel_connect_within(const char *job_directory, int signal_fd, uint64_t timeout_usec);

/* Sends PING and waits for the answer: 0; -ECONNRESET when the container ended meanwhile; -ETIMEDOUT; -EINTR when
 * @signal_fd (negative: none) became readable; -ENOEXEC when the image's systemd, or what the container is for, cannot
 * be executed; -EBADMSG for any other answer; or -errno. @starting: the container is being started, and processes are
 * moved between control groups. */
int channel_wait_ready(int socket_fd, int signal_fd, uint64_t timeout_usec, bool starting);
