/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* How many bytes machine @id takes up with what it has written, without its services: what becomes free when it is removed.
 * Data that its files share with others, as with the image on btrfs, does not count. With `storage: tmpfs`, those are bytes of
 * memory. 0; -ETIME with what was counted by @deadline (clock_deadline()); or another -errno. */
int machine_disk_bytes(const Settings *settings, const char *id, uint64_t deadline, uint64_t *ret);
