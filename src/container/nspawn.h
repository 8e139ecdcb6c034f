/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "container/machine.h"

/* Is systemd-nspawn in SEARCH_PATH (base/process.h)? */
bool nspawn_is_installed(void);

/* systemd as PID 1 has needed version 2 alone since this version. */
#define NSPAWN_UNIFIED_VERSION 258

/* Make systemd-nspawn's command line and environment for @machine, whose root is mounted on @root and whose users are
 * mapped from @uid_base (ignored without private_users). Pure functions: they depend on nothing else. *ret is for
 * strv_free(). 0 or -ENOMEM. */
int nspawn_arguments(const Machine *machine, const char *root, uid_t uid_base, char ***ret);
int nspawn_environment(const Machine *machine, uid_t uid_base, char ***ret);

/* Is systemd-nspawn started with our library? */
bool nspawn_is_preloaded(const Machine *machine);

/* Removes the empty directories that systemd-nspawn makes for a container in /run and leaves there if it is killed or
 * if /run is no tmpfs. Nothing of that container may run any more. */
void nspawn_remove_leftovers(const char *machine_name);
