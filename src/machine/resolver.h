/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* The host's /etc/resolv.conf, to be freed; NULL: it has none. 0 or -errno. */
int resolver_read(char **ret);

/* Gives the mounted root of a job, directory @root_fd, the resolv.conf @text in place of whatever it has, a directory with all
 * that is in it, too. The file, and /etc where that is missing, belong to the job's root (@uid_base on the host; 0 without a
 * user namespace). systemd-nspawn's --resolv-conf= cannot: through an id-mapped mount the host's root, who has no user there,
 * makes no files (EOVERFLOW). Nothing happens where the root's /etc is of an owner whom the job does not have. 0 or -errno. */
int resolver_write(int root_fd, uid_t uid_base, const char *text);
