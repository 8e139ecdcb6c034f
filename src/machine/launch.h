/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/cgroup.h"
#include "container/machine.h"

/* The process of systemd-nspawn. It is started while much of a machine is still to be made, and waits: in its control group,
 * and where it has our library, with all of its own loaded. */
typedef struct LaunchRequest {
        const Machine *machine;
        const CgroupSet *groups; /* the machine's */
        uid_t uid_base;
        /* What it passes on, in this order: the agent's socket, the filter, the socket of the segment, and the service's
         * command. Negative: there is none. */
        int passed_fds[4];
} LaunchRequest;

typedef struct Launch {
        pid_t pid;
        int console_fd; /* what the container prints; not blocking */
        int go_fd;      /* the process ends when this is closed too early */
} Launch;

#define LAUNCH_NONE                                    \
        (Launch) {                                     \
                .console_fd = -EBADF, .go_fd = -EBADF, \
        }

/* Closes the descriptors. */
void launch_done(Launch *launch);

/* Starts the process in the caller's mount namespace; it dies with the caller. The caller must have one thread only. 0 or
 * -errno. */
int launch_begin(const LaunchRequest *request, Launch *ret);

/* Lets it go on: the root of the machine is complete. @unified: the container gets control groups of version 2 only. 0 or
 * -errno; if it has ended, that is for those who wait for it. */
int launch_go(Launch *launch, bool unified);
