/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "container/machine.h"

/* What a container gets of the host by `bind` and `bind_ro`, and its volumes (container/volume.h). `supervise` prepares
 * each of them in a directory of the job that nobody else sees, and systemd-nspawn only binds from there: it is never
 * handed a path that somebody else could change meanwhile. */

/* Below the job's directory: an entry 0, 1, ... for each of the settings bind and bind_ro, and then of
 * Machine.volumes. */
#define BINDS_DIRECTORY "binds"

/* systemd-nspawn mounts a tmpfs on /run, and would make what is missing there nobody's. So of a target /run/NAME/... it
 * gets the directory BINDS_RUN_DIRECTORY NAME first, which is the job's root's. */
#define BINDS_RUN "run-"
#define BINDS_RUN_DIRECTORY BINDS_DIRECTORY "/" BINDS_RUN

/* Appends each NAME of such targets to @names, once. 0 or -ENOMEM. */
int bind_run_directories(const Machine *machine, char ***names);

/* The paths in the container that something is mounted on, in the order of BINDS_DIRECTORY: by the settings bind and
 * bind_ro, and volumes. *ret is to be freed; NULL: none. 0; -EBADMSG as of volume_parse(); or -ENOMEM. */
int bind_targets(const Machine *machine, char ***ret);

typedef struct BindRequest {
        const Machine *machine;
        int job_fd;                /* the job's directory */
        int root_fd;               /* the job's root, mounted; nothing runs in it yet */
        uid_t uid_base, uid_range; /* the job's users; ignored without Machine.private_users */
} BindRequest;

/* In the caller's own mount namespace: makes BINDS_DIRECTORY and everything in it, and in the job's root the targets
 * that are missing, with their parents, owned by the job's root. Sources are opened without following any symlink:
 *  - directories, files and sockets become mounts. With private users, those of `bind` show their owner as the job's root
 *    and everybody else as nobody, those of `bind_ro` show all owners as they are, and neither has what is mounted below
 *    it, nor devices that can be opened;
 *  - volumes become such mounts, too, writable with all owners as they are, also without private users;
 *  - of a device, the job gets a node of its own: the host's could not be mapped, and would be the job's to change.
 * Returns 0, or -errno with @reterr_problem (zero before) filled in, unless the error says it all. The mounts that were
 * made then go with the namespace. */
int bind_prepare(const BindRequest *request, Problem *reterr_problem);

/* Would bind_prepare() work for the sources of @settings? Changes nothing. As bind_prepare(). */
int bind_try(const Settings *settings, Problem *reterr_problem);

/* Could @path be the source of a volume? Changes nothing. As bind_prepare(). */
int bind_try_volume(const char *path, bool private_users, Problem *reterr_problem);

/* Is the source of @bind a device? Then what DeviceAllow= of a unit calls it is in @ret. */
#define BIND_DEVICE_MAX 48
bool bind_is_device(const char *bind, char ret[static BIND_DEVICE_MAX]);
