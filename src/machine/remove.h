/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* How long anything of a machine may take to go away once it was killed. */
#define MACHINE_STOP_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* Removes everything of machine @id: processes, unit, control groups, layer, locks, and last the directory, which the
 * caller holds locked. Nothing there is success. 0, or -errno with the directory still there, to be tried again. */
int machine_remove_locked(const Settings *settings, const char *id);

/* The same for callers without the lock; waits for who holds it, while killing what that one starts. */
int machine_remove(const Settings *settings, const char *id);

/* Is there anything of machine @id to be seen in the directories? */
bool machine_exists(const Settings *settings, const char *id);

/* Its layer: descriptor, -ENOENT or another -errno. */
int machine_layer_open(const Settings *settings, const char *id);
