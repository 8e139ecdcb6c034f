/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "container/machine.h"

/* What a job shares with its services where disk_max limits it, and the storage driver limits nothing but the root: a disk in
 * the job's layer (storage/disk.h), which is mounted on "<layer>/" LAYER_SHARED for each of its containers. */

/* The source of volume @name of the job @machine, in a place that disk_max limits, if there is such a limit: *ret is to be
 * freed. 0; -ENOPKG: a disk is needed, for which a program or loop devices are missing; or -ENOMEM. */
int shared_volume_source(Machine *machine, const char *name, char **ret);

/* The directory that the disk is mounted on: *ret is to be freed; NULL: the plan has no such volumes. 0 or -errno. */
int shared_volumes_directory(const Machine *machine, char **ret);

/* In the caller's own mount namespace: mounts the disk, which the job's own machine makes first, with its volumes. Only after
 * that may the job's services do this. 0 or -errno. */
int shared_volumes_mount(const Machine *machine, Problem *reterr_problem);
