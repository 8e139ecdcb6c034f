/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "machine/directory.h"

/* Why a machine did not start, where errno has no word for it. */
typedef enum StartOutcome {
        START_IMAGE_REFUSED = 1, /* nothing may be started in the image's tree (tree/check.h) */
        START_NOT_EXECUTABLE,    /* the image's systemd cannot be executed on this host */
        START_NOT_READY,         /* the machine ended, or did not answer in time: its console may tell why */
        START_CANCELLED,         /* something was readable on signal_fd */
} StartOutcome;

/* Starts @machine, whose directory the caller made and holds locked, and waits until its agent answers. @tree_fd is the
 * tree at the machine's image_path; it gets the image's shared lock. @supervise_argv is the command that carries the
 * machine out. Something readable on @signal_fd (negative: none) ends the wait. 0; or a StartOutcome or -errno, with
 * @reterr_problem filled in; machine_remove_locked() removes what is left then. */
int machine_start(const Machine *machine, const MachineDirectory *directory, char *const supervise_argv[], int tree_fd,
                  uint64_t timeout_usec, int signal_fd, Problem *reterr_problem);

/* A part of that, for callers who start nothing: makes the machine's layer, locked as long as *ret_layer_fd (the caller's to close)
 * is open. 0 or -errno. */
int machine_make_layer(const Machine *machine, int tree_fd, int *ret_layer_fd);
