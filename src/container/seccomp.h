/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* The filter that systemd-nspawn would install, compiled once: nspawn compiles it at each start, which takes most of
 * its time. It allows what nspawn allows by default (systemd-nspawn(1), --system-call-filter=), and @allow, names of
 * system calls and @groups, besides. What is known but not allowed fails with EPERM, what is unknown with ENOSYS, so
 * that programs newer than the host's libseccomp fall back as on an old kernel. */

/* Finds the compiled filter in @directory (*ret_path is to be freed), or makes it there with libseccomp and
 * `systemd-analyze syscall-filter`. The file's name depends on all that the filter depends on. 0; SECCOMP_NOT_INSTALLED:
 * libseccomp or systemd-analyze are missing; -EINVAL: neither knows a name in @allow; or another -errno. @reterr_problem
 * has a sentence about the first two. */
int seccomp_filter_prepare(const char *directory, char *const *allow, char **ret_path, Problem *reterr_problem);
#define SECCOMP_NOT_INSTALLED 1

/* What the name @item stands for: calls @add for it, or, for a @group, for each of its members as
 * `systemd-analyze syscall-filter` lists them in @listing. -ENOENT: no such group. */
int seccomp_expand(const char *listing, const char *item, int (*add)(const char *name, void *userdata), void *userdata);
