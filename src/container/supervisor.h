/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "container/cgroup.h"
#include "container/machine.h"

/* What keeps `nspawn-runner supervise`, and with it the container, running after `prepare` has ended: one const struct
 * each; no other code depends on their names. */
typedef struct Supervisor {
        const char *name;

        bool (*usable)(void); /* on this host */
        bool moves;           /* its start moves processes between control groups (container/cgroup-warm.h) */

        /* Starts @argv for @machine with @listen_fd as its standard input and the machine's limits, and does not wait
         * for it. A job with services gets its slice (container/slice.h) with it, and they are started in that. 0;
         * -EEXIST: one of that name exists; or another -errno with nothing left running. @reterr_problem gets the
         * supervisor's own words, if it has any; it may be NULL. */
        int (*start)(const Machine *machine, char *const argv[], int listen_fd, Problem *reterr_problem);

        /* Kills every process of container @name and waits until they, the unit and the control groups are gone. With
         * a job, its slice goes, and whatever is in it. Nothing there is success. 0, -ETIMEDOUT or another -errno. */
        int (*stop)(const char *name, uint64_t timeout_usec);

        /* The control groups of container @name, whether they exist or not. 0 or -errno. */
        int (*groups)(const char *name, CgroupSet *ret);

        /* Those of the slice of the job that container @name is of, or is a service of. 0; -ENOENT: it has none; or
         * another -errno. */
        int (*slice)(const char *name, CgroupSet *ret);

        /* Appends to @ids what follows @prefix in names of units or control groups, see machine_prefix(); for a slice,
         * that is its job's. 0 or -errno. */
        int (*list)(const char *prefix, char ***ids);
} Supervisor;

extern const Supervisor supervisor_systemd, supervisor_detached;

/* The one to use on this host: the first usable of { systemd, detached }. */
const Supervisor *supervisor_pick(void);

/* Is systemd PID 1? As sd_booted(3). */
bool host_is_systemd(void);
