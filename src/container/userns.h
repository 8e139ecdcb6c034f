/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Makes a user namespace that maps its users and groups 0 to @range - 1 to the host's from @base on, for id-mapped
 * mounts. No process stays in it. Returns a descriptor of the namespace or -errno. */
int userns_open(uid_t base, uid_t range);

/* The same for one user and one group only: files of @uid and @gid are shown as those of @base, all others as nobody's. Files
 * that @base makes belong to @uid and @gid. */
int userns_open_owner(uid_t uid, gid_t gid, uid_t base);
