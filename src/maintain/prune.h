/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* Removes everything that nobody needs or that can be made or fetched again: leftovers of ended jobs, dead jobs and
 * interrupted commands; old generations that are neither kept nor used; images of registries, caches and working copies
 * that no job uses; trees that are kept for another try; and what is kept of pushed images. */

typedef struct PruneRequest {
        const Settings *settings;
        bool dry_run;
        /* Called for each thing that can be removed, before it is removed. */
        void (*on_item)(void *userdata, const char *kind, const char *name, uint64_t bytes);
        void *userdata;
        /* Called for each kind that could not be removed or listed, with the -errno; the other kinds go on. */
        void (*on_failure)(void *userdata, const char *kind, int error);
} PruneRequest;

/* Removes, or with dry_run only lists. Things that are in use are left alone and not mentioned. 0 or -ENOMEM. */
int prune(const PruneRequest *request);
