/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* What is known of a machine of this configuration. */
typedef enum MachineState {
        MACHINE_BUSY,    /* being prepared or removed, or it cannot be told */
        MACHINE_RUNNING, /* its supervisor lives */
        MACHINE_KEPT,    /* it runs; its job has failed (machine/kept.h) */
        MACHINE_ENDED,   /* a service's that does not run any more, of a job that does */
        MACHINE_DEAD,    /* something is left that no process owns, or its time of being kept is over */
        MACHINE_GONE,    /* nothing is left: it was removed after it was listed */
} MachineState;

/* The state of machine @id at this moment. To act on it, take the lock of its directory and look again. */
MachineState machine_state(const Settings *settings, const char *id);
/* Such as "running", as `status` shows it. Static. */
const char *machine_state_name(MachineState state);

/* Lists the ids of all machines of this configuration that anything is left of, sorted, each once. Looks for directories and
 * layers, and with @thorough also for units and control groups. *ret is for strv_free(), as below. 0 or -errno. */
int machine_list(const Settings *settings, bool thorough, char ***ret);

/* Lists the ids of the dead ones, which machine_collect() would remove. */
int machine_list_dead(const Settings *settings, bool thorough, char ***ret);

/* Removes the dead ones, and moves their layers to the trash (storage/trash.h). *ret_removed gets their ids (NULL: not
 * wanted). 0, or the first -errno with the others removed. */
int machine_collect(const Settings *settings, bool thorough, char ***ret_removed);

/* The same without @thorough, before a container is started: looks at some only where there are many, and ends after
 * seconds, or when @cancel_fd becomes readable. Machines that ended by themselves a moment ago stay, so that the next
 * step of their job can say why. If something is left in the trash, a process in the background empties it. Best
 * effort. */
void machine_collect_some(const Settings *settings, int cancel_fd);
