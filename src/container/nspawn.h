/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "container/machine.h"

/* Where systemd-nspawn is looked for, and the PATH that it gets. */
#define NSPAWN_SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

bool nspawn_is_installed(void);

/* systemd-nspawn's command line and environment for @machine, whose root is mounted on @root and whose users are
 * mapped from @uid_base (ignored without private_users). Pure: depends on nothing else. 0 or -ENOMEM. */
int nspawn_arguments(const Machine *machine, const char *root, uid_t uid_base, char ***ret);
int nspawn_environment(const Machine *machine, char ***ret);
