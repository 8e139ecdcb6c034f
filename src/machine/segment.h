/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"
#include "network/hub.h"
#include "network/names.h"

/* The network of a machine that does not use the host's: the hub of its job, and how the container gets its
 * interface. The agent, the container's first process, hands over the container's network namespace before anything
 * of the image runs, and goes on when the interface is there. */
typedef struct Segment {
        const Machine *machine;
        const MachineDirectory *directory;
        Hub hub;
        Names names;     /* how they are looked up, where the host is asked; else empty */
        unsigned number; /* of the machine's address in the hub's block */
        int agent_fd;    /* our end of the socket to the agent; negative: it has no interface to wait for */
        int inside_fd;   /* the agent's end, for systemd-nspawn to pass on */
} Segment;

#define SEGMENT_NONE                                                      \
        (Segment) {                                                       \
                .hub = HUB_NONE, .agent_fd = -EBADF, .inside_fd = -EBADF, \
        }

void segment_done(Segment *segment);

/* Makes the socket to the agent; does nothing with `network: host`. 0 or -errno. */
int segment_open_socket(Segment *segment, Problem *reterr_problem);

/* Makes the hub that the plan asks for, or waits for and joins that of another machine; does nothing with `network:
 * host`. Call it before machine_root_complete(), which needs the addresses. 0 or -errno. */
int segment_open(Segment *segment, Problem *reterr_problem);

/* Gives the hub its way out, and lets other machines join. 0 or -errno. */
int segment_connect(Segment *segment, Problem *reterr_problem);

/* When the agent's end of the socket has said something, or was closed: connects the container. 0; 1: the agent has
 * gone, which those who watch the container see as well; or -errno. */
int segment_serve(Segment *segment, Problem *reterr_problem);
