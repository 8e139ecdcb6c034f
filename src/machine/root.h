/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "container/cgroup.h"
#include "container/machine.h"
#include "container/uid-range.h"

/* The root of a machine as its container sees it, and the locks that say that what it is made of is in use. */
typedef struct MachineRoot {
        const Machine *machine;
        int directory_fd; /* the machine's directory, the caller's */
        int layer_fd, image_fd;
        int helper_fd;        /* the helper's image (machine/helper.h) */
        UidRange users;       /* of the container; empty without a user namespace */
        char *path;           /* where it is mounted */
        char *work;           /* for mounts that are gone before the machine starts */
        const char *resolver; /* its resolv.conf, the caller's; NULL: the host's */
} MachineRoot;

#define MACHINE_ROOT_NONE                                                                           \
        (MachineRoot) {                                                                             \
                .directory_fd = -EBADF, .layer_fd = -EBADF, .image_fd = -EBADF, .helper_fd = -EBADF \
        }

/* Releases the locks. The mounts end with the process that made them. */
void machine_root_done(MachineRoot *root);
#define _cleanup_machine_root_ _cleanup_(machine_root_done)

/* On failure, all of these fill in @reterr_problem. */

/* Locks the layer and a range of users. 0 or -errno. */
int machine_root_lock(MachineRoot *root, Problem *reterr_problem);

/* Makes a new mount namespace, which ends with this process and those that it starts, and the directories for mounts. 0 or
 * -errno. */
int machine_root_unshare(MachineRoot *root, Problem *reterr_problem);

/* Mounts the root below the machine's directory. 0 or -errno. */
int machine_root_mount(MachineRoot *root, Problem *reterr_problem);

/* Must systemd-nspawn be told to give the container control groups of version 2 only, on a host with @groups? By itself it
 * gives what the host has, but version 1 where the image has no systemd, or one before version 231. So it makes a hierarchy
 * of version 1 for other images on hosts that have none; all processes of the host are in that then, too. And where the host
 * has both, a new systemd in the mounted root would refuse to boot. 1, 0 or -errno. */
int machine_root_needs_unified(const MachineRoot *root, const CgroupSet *groups);

/* Where the root of @machine is once it is complete. 0 or -errno. */
int machine_root_path(const Machine *machine, char **ret);

/* Moves the mounted root, now complete, to where it is expected. 0 or -errno. */
int machine_root_publish(MachineRoot *root, Problem *reterr_problem);

/* Checks the mounted root, and puts in what every container gets. 0; -EUCLEAN: the image is unusable; or another -errno. */
int machine_root_complete(MachineRoot *root, Problem *reterr_problem);
