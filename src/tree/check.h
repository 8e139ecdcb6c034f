/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* Checks whether a container may be started in a tree that is not trusted.
 *
 * systemd-nspawn (252 and 257 were read: outer_child() in nspawn.c, mount_all() and mount_bind() in nspawn-mount.c) sets up
 * a root before it enters it. It then works, as root of the host, on <root>/dev, <root>/run/host and <root>/etc/machine-id
 * by their plain paths: a symlink there would lead to the host's own files. It is safe where dev, run, proc and sys are
 * directories of the tree itself, because it mounts empty file systems on them first. */

/* Do systemd-nspawn or the agent use @path of a container, so that nothing else may be mounted there? @path is
 * normalized and has no symlinks. */
bool tree_place_is_reserved(const char *path);

/* Does a file system of the container's own hide what the tree has at @path, or above it? @path as above. */
bool tree_place_is_hidden(const char *path);

/* Is there a root file system in the tree? It has usr, on which systemd-nspawn insists, and bin or usr/bin: without programs,
 * it is only half made. 0; -ENODATA: there is none; or another -errno, which says nothing about it. */
int tree_is_root(int tree_fd);

/* Checks a tree before anything is started in it: dev, etc, proc, run, sys, tmp, usr and var must be directories or missing;
 * and no symlink of the tree may lead a path of @bind_targets (NULL-terminated, absolute paths in the container; NULL: none)
 * to where systemd-nspawn or the agent work, or into another of these paths, where others may have put more symlinks. Reads
 * only; @tree_fd may be any descriptor of the directory.
 * Returns 0; TREE_REFUSED with @reterr_problem filled in, which completes "Image 'NAME' cannot be used: "; or -errno. */
int tree_check(int tree_fd, char *const *bind_targets, Problem *reterr_problem);
#define TREE_REFUSED 1

/* Checks the mounted root of a container in the same way, before anything starts in it; @root_fd was opened on that
 * mount. Nothing may be mounted inside the root. An etc/machine-id that is no regular file is removed: systemd-nspawn
 * 252 would follow a symlink, and wait for a pipe. Returns as tree_check(). */
int tree_check_root(int root_fd, char *const *bind_targets, Problem *reterr_problem);

/* Removes etc/machine-id from the root of a container, which tree_check_root() has checked, so that the container gets its
 * own: systemd-nspawn would use an id that is there, and would not start with an invalid one (setup_machine_id() in
 * nspawn.c). A file whose owner is not mapped stays. 0 or -errno. */
int tree_remove_machine_id(int root_fd);
