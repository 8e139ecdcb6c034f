/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* The host's /etc/resolv.conf, to be freed; NULL: it has none. 0 or -errno. */
int resolver_read(char **ret);

/* Replaces resolv.conf in the mounted root of a job, @root_fd, whatever it is, by a file with @text. The file, and
 * /etc if it is missing, belong to the job's root (@uid_base on the host; 0 without a user namespace).
 * systemd-nspawn's --resolv-conf= fails on an id-mapped mount: the host's root is not mapped there and can make no
 * files (EOVERFLOW). Does nothing if the owner of /etc is not mapped. 0 or -errno. */
int resolver_write(int root_fd, uid_t uid_base, const char *text);
