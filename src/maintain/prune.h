/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* Removes all that nobody needs or that can be had again: what ended jobs, dead jobs and interrupted commands left, old
 * generations that are neither kept nor used, images of registries, caches and working copies that no job has, trees that
 * are kept for another try, and what is kept of pushed images. */

typedef struct PruneRequest {
        const Settings *settings;
        bool dry_run;
        /* Called for each thing that is there to remove, before it is removed. */
        void (*on_item)(void *userdata, const char *kind, const char *name, uint64_t bytes);
        void *userdata;
        /* Called with what could not be removed or listed, and why; the rest goes on. */
        void (*on_failure)(void *userdata, const char *kind, int error);
} PruneRequest;

/* 0, or -ENOMEM. What others use at the moment stays, without a word. */
int prune(const PruneRequest *request);
