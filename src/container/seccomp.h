/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* The filter that systemd-nspawn would install, compiled once: nspawn compiles it at each start, which takes most of its
 * time. It allows what nspawn allows by default (systemd-nspawn(1), --system-call-filter=), and in addition @allow, names of
 * system calls and @groups. Other known calls fail with EPERM, unknown ones with ENOSYS, so that programs newer than the
 * host's libseccomp do what they do on an old kernel. */

/* Finds the compiled filter in @directory (*ret_path is to be freed), or makes it there with libseccomp and
 * `systemd-analyze syscall-filter`. The file's name depends on all that the filter depends on. 0; SECCOMP_NOT_INSTALLED:
 * libseccomp or systemd-analyze are missing; -EINVAL: neither knows a name in @allow; or another -errno. @reterr_problem
 * has a sentence about the first two. */
int seccomp_filter_prepare(const char *directory, char *const *allow, char **ret_path, Problem *reterr_problem);
#define SECCOMP_NOT_INSTALLED 1

/* Calls @add for the call @item, or for each call of the @group @item, as `systemd-analyze syscall-filter` lists them in
 * @listing. Stops at a negative result and returns it. 0; -ENOENT: there is no such group. */
int seccomp_expand(const char *listing, const char *item, int (*add)(const char *name, void *userdata), void *userdata);
