/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* Where a start failed, for the message. */
typedef enum StartStep {
        START_STATE,      /* the runtime directory */
        START_TREE,       /* the image: nothing may be started in such a tree (tree/check.h) */
        START_LAYER,      /* the layer in the image root */
        START_SUPERVISOR, /* the unit or the detached process */
        START_READY,      /* the machine ended, or did not answer in time */
} StartStep;

/* Starts @machine, whose directory the caller made and holds locked, and waits until its agent answers. @tree_fd is the
 * tree at the machine's image_path; it gets the image's shared lock. @supervise_argv is the command that carries the
 * machine out. Something readable on @signal_fd (negative: none) interrupts the wait. Returns 0, or -errno
 * (-EUCLEAN at START_TREE: the image is refused, and the file MACHINE_FILE_ENDED says why; -ECONNRESET: the machine
 * ended at once; -ETIMEDOUT; -EINTR) with *ret_step set; what is left behind is for
 * machine_remove_locked(). */
int machine_start(const Machine *machine, const MachineDirectory *directory, char *const supervise_argv[], int tree_fd,
                  uint64_t timeout_usec, int signal_fd, StartStep *ret_step);

/* A part of it, for who starts nothing: makes the machine's layer, locked as long as *ret_layer_fd (the caller's to close)
 * is open. 0 or -errno. */
int machine_make_layer(const Machine *machine, int tree_fd, int *ret_layer_fd);
