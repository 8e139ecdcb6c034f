/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* How long anything of a machine may take to go away once it was killed. */
#define MACHINE_STOP_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* Removes everything of machine @id: the machines of its services, and then of its own processes, unit, control groups,
 * layer, locks, and last the directory, which the caller holds locked. Nothing there is success. A layer that takes longer to remove goes to the trash (storage/trash.h),
 * and a process is started that empties it. 0, or -errno with the directory still there, to be tried again. */
int machine_remove_locked(const Settings *settings, const char *id);

/* The same for who empties the trash of settings->root_dir afterwards: the layer goes there, and stays. */
int machine_discard_locked(const Settings *settings, const char *id);

/* Has a process in the background empty the trash of @root_dir, unless there is nothing in it, or one does so already. It
 * has the lowest priority, and holds nothing of this process: no descriptor, no environment. Best effort: whatever stays is
 * for the next one. */
void machine_empty_trash_behind(const char *root_dir);

/* The same for callers without the lock; waits for who holds it, while killing what that one starts. */
int machine_remove(const Settings *settings, const char *id);

/* Is there anything of machine @id to be seen in the directories? */
bool machine_exists(const Settings *settings, const char *id);

/* Its layer: descriptor, -ENOENT or another -errno. */
int machine_layer_open(const Settings *settings, const char *id);
