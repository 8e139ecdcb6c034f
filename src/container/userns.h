/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Makes a user namespace that maps its users and groups 0 to @range - 1 to the host's from @base on, for id-mapped
 * mounts. No process stays in it. Returns a descriptor of the namespace or -errno. */
int userns_open(uid_t base, uid_t range);

/* The same with one user and one group only: @uid and @gid of a file system are seen as @base, and all others as nobody. What
 * @base makes belongs to @uid and @gid. */
int userns_open_owner(uid_t uid, gid_t gid, uid_t base);
