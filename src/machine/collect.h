/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* What is known of a machine of this configuration. */
typedef enum MachineState {
        MACHINE_BUSY,    /* being prepared or removed */
        MACHINE_RUNNING, /* its supervisor lives */
        MACHINE_ENDED,   /* a service's that does not run any more, of a job that does */
        MACHINE_DEAD,    /* nobody owns what is left */
        MACHINE_GONE,    /* nothing is left: it was removed since it was listed */
} MachineState;

MachineState machine_state(const Settings *settings, const char *id);
const char *machine_state_name(MachineState state);

/* The ids of all machines of this configuration that anything is left of, sorted, each once: directories and layers,
 * and with @thorough units and control groups. *ret is for strv_free(), as below. 0 or -errno. */
int machine_list(const Settings *settings, bool thorough, char ***ret);

/* The ids of the dead ones: what machine_collect() would remove. */
int machine_list_dead(const Settings *settings, bool thorough, char ***ret);

/* Removes the machines that are dead; their layers go to the trash (storage/trash.h), and stay. Looks only at directories
 * and layers unless @thorough, then at units and control groups too. The ids go to @ret_removed (NULL: not wanted). 0, or the first -errno with the others done. */
int machine_collect(const Settings *settings, bool thorough, char ***ret_removed);

/* The cheap part of it, for `prepare`, as far as it is done within seconds and before @cancel_fd becomes readable.
 * Machines that ended by themselves a moment ago stay: the next step of their job says why. Best
 * effort. A process in the background empties the trash, if something was left in it. */
void machine_collect_some(const Settings *settings, int cancel_fd);
