/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* May a container be started in a tree that nobody trusts?
 *
 * systemd-nspawn (252 and 257 were read: outer_child() in nspawn.c, mount_all() and mount_bind() in nspawn-mount.c) sets up
 * a root before it enters it. It then works, as root of the host, on <root>/dev, <root>/run/host and <root>/etc/machine-id
 * by their plain paths: what is a symlink there leads to the host's own files. It is safe where dev, run, proc and sys are
 * directories of the tree itself, for it mounts empty file systems on them first. */

/* Is @path of a container, normalized and without symlinks, a place where systemd-nspawn or the agent work, so that nothing
 * else may be mounted there? */
bool tree_place_is_reserved(const char *path);

/* What a tree must not have, whatever it is for: dev, etc, proc, run, sys, tmp, usr and var are directories of it, or are
 * missing, and no path of @bind_targets (NULL-terminated, absolute, as the container will see it; NULL: none) leads, through
 * symlinks in the tree, to where systemd-nspawn or the agent work, or into another of them, where others may have put
 * more symlinks. Reads only; @tree_fd may be any descriptor of the directory.
 * Returns 0; TREE_REFUSED with @reterr_problem filled in, which completes "Image 'NAME' cannot be used: "; or -errno. */
int tree_check(int tree_fd, char *const *bind_targets, Problem *reterr_problem);
#define TREE_REFUSED 1

/* The same for the root of a container, as it is mounted and before anything starts in it. Nothing may be mounted inside of
 * it, and an etc/machine-id that is no regular file is removed: systemd-nspawn 252 would follow a symlink, and wait for a
 * pipe. @root_fd was opened on the mounted root. */
int tree_check_root(int root_fd, char *const *bind_targets, Problem *reterr_problem);

/* Takes etc/machine-id out of the root of a container, whatever it is, so that the container's own takes its place: where
 * there is one, systemd-nspawn makes that the container's, and does not start with one that is none (setup_machine_id() in
 * nspawn.c). For roots that tree_check_root() found good. What belongs to nobody there stays. 0 or -errno. */
int tree_remove_machine_id(int root_fd);
