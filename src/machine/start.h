/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "machine/directory.h"

/* Why a machine did not start, where errno has no word for it. */
typedef enum StartOutcome {
        START_IMAGE_REFUSED = 1, /* nothing may be started in the image's tree (tree/check.h) */
        START_NOT_EXECUTABLE,    /* the image's systemd, or a service's command, cannot be executed */
        START_NOT_READY,         /* the machine ended, or did not answer in time: its console may tell why */
        START_CANCELLED,         /* something was readable on signal_fd */
} StartOutcome;

/* Starts @machine, whose directory the caller made and holds locked, and waits until its agent answers. @tree_fd is
 * the tree at the machine's image_path, and gets the image's shared lock. @supervise_argv is the command that carries
 * out the plan. When @signal_fd (negative: none) becomes readable, the wait ends. 0; or a StartOutcome or -errno,
 * with @reterr_problem filled in: then call machine_remove_locked() for what is left. */
int machine_start(const Machine *machine, const MachineDirectory *directory, char *const supervise_argv[], int tree_fd,
                  uint64_t timeout_usec, int signal_fd, Problem *reterr_problem);

/* machine_start() in two halves, for callers with something to do in between. After the first, the plan is written,
 * the layer is made and the supervisor was started. They return as machine_start(). */
typedef struct MachineStarting {
        int socket_fd; /* a connection to the agent, which breaks when the machine ends */
        int layer_fd;  /* locks the layer until the supervisor does */
} MachineStarting;

#define MACHINE_STARTING_NONE                            \
        (MachineStarting) {                              \
                .socket_fd = -EBADF, .layer_fd = -EBADF, \
        }

void machine_starting_done(MachineStarting *starting);
#define _cleanup_machine_starting_ _cleanup_(machine_starting_done)

int machine_start_begin(const Machine *machine, const MachineDirectory *directory, char *const supervise_argv[],
                        int tree_fd, MachineStarting *ret, Problem *reterr_problem);
int machine_start_wait(const Machine *machine, const MachineStarting *starting, uint64_t timeout_usec, int signal_fd,
                       Problem *reterr_problem);

/* Only makes the machine's layer, for callers who start nothing. It is locked until *ret_layer_fd, which is the
 * caller's, is closed. 0 or -errno. */
int machine_make_layer(const Machine *machine, int tree_fd, int *ret_layer_fd);
