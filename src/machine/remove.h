/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* How long anything of a machine may take to go away once it was killed. */
#define MACHINE_STOP_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* Removes everything of machine @id: the machines of its services, its processes, unit, control groups, layer, locks,
 * and last the directory, which the caller holds locked. Nothing there is success. A layer that takes long to remove
 * goes to the trash (storage/trash.h), which a process in the background empties. 0; or -errno with the directory still
 * there: try again. */
int machine_remove_locked(const Settings *settings, const char *id);

/* The same, but leaves the layer in the trash of the directory of images that it is in. That is settings->root_dir, unless
 * the machine was started with another one; the caller empties it. */
int machine_discard_locked(const Settings *settings, const char *id);

/* Starts a process in the background that empties the trash of @root_dir, unless it is empty or another process does so. It
 * has the lowest priority, and gets no descriptor and no environment of this process. Best effort. */
void machine_empty_trash_behind(const char *root_dir);

/* machine_remove_locked() for callers without the lock. Waits for the process that has the lock, and kills what that
 * one starts meanwhile. 0; -EBUSY: it still has the lock; or another -errno. */
int machine_remove(const Settings *settings, const char *id);

/* Is there a directory or a layer of machine @id? */
bool machine_exists(const Settings *settings, const char *id);

/* Opens the layer of machine @id: its descriptor, which is the caller's; -ENOENT or another -errno. */
int machine_layer_open(const Settings *settings, const char *id);

/* Does another process have the layer of machine @id locked: its supervisor, or a `prepare`? 1; 0: no, or there is no layer; or
 * -errno: it cannot be told, so the machine may run. */
int machine_layer_is_held(const Settings *settings, const char *id);
