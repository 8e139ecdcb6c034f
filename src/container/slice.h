/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/cgroup.h"
#include "container/machine.h"

/* The slice of a job is a control group that the containers of a job with services are in, with the limits that they have
 * together. Where systemd manages the groups, it is a slice unit (systemd.slice(5)) in machine.slice. A job without
 * services has none: what limits the whole job limits its only container. */

/* The name of the slice of the job that container @name (machine_name()) is of, or is a service of: "machine-", the name of
 * the job's container with '_' for '-', and ".slice". In the name of a slice, '-' leads to the slice above it, and no name
 * of a container has a '_'. *ret is to be freed. 0 or -ENOMEM. */
int slice_name(const char *name, char **ret);

/* Is that the name of a slice? */
bool slice_is_name(const char *name);

/* What follows @prefix (machine_prefix(), or a whole name) in the name of the job's container that slice @slice is for:
 * *ret is to be freed. 0; -ENOENT: that is the slice of none with such a name; or -ENOMEM. */
int slice_job(const char *slice, const char *prefix, char **ret);

/* A pattern (fnmatch(3)) for all slices with such names. *ret is to be freed. 0 or -ENOMEM. */
int slice_pattern(const char *prefix, char **ret);

/* The groups of that slice below @parent. 0; -ENOENT: the job has none; or another -errno. */
int slice_groups(const char *parent, const char *name, CgroupSet *ret);

/* Is @machine that of a job with services, which has a slice? */
bool slice_is_of(const Machine *machine);

/* What the plan of a job, or of one of its services, says of its slice: without a limit of memory or tasks, unless the
 * settings job_memory_max and so on give one. The weight counts among other jobs. */
CgroupLimits slice_limits(const Machine *machine);

/* The limits of the container alone. */
CgroupLimits machine_limits(const Machine *machine);
