/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What is installed with the program and not a part of it. */
#define PART_AGENT "nspawn-runner-agent"

/* Where a part can be, in order. */
typedef struct PartPlaces {
        char *beside;    /* beside the program, as in the build tree */
        char *moved;     /* in the installed tree, which may have been moved; NULL: the program is in no such tree */
        char *installed; /* where the build was told to install it */
} PartPlaces;

void part_places_done(PartPlaces *places);
#define _cleanup_part_places_ _cleanup_(part_places_done)

/* Those of part @name, for a program in @directory (absolute, no symlinks). 0 or -ENOMEM. */
int part_places(const char *directory, const char *name, PartPlaces *ret);

/* The path of the agent's binary, to be freed. 0; -ENOENT: there is none; or another -errno. */
int part_find_agent(char **ret);

/* The path of the library for systemd-nspawn (preload/userns-owner.h), to be freed. 0; -ENOENT: there is none, or
 * it has a path that LD_PRELOAD cannot have; or another -errno. */
int part_find_preload(char **ret);
