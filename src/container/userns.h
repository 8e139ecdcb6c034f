/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Makes a user namespace that maps its users and groups 0 to @range - 1 to the host's from @base on, for id-mapped
 * mounts. No process stays in it. Returns a descriptor of the namespace or -errno. */
int userns_open(uid_t base, uid_t range);
