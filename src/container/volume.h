/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"

/* Directories that several containers share, or that outlive them: a cache, a working copy, what a job shares with its
 * services. On disk their files belong to the containers' own numbers (0 is root inside), whichever range of users a
 * container has on the host, so another container sees the same owners. Set-user-ID bits are on disk, too: one of the
 * directories above must keep the host's users out (mode 0700).
 *
 * container/bind.h mounts them, after what `bind` and `bind_ro` name. */
typedef struct Volume {
        char *source; /* a directory of the host */
        char *target; /* absolute, inside */
        /* Who uses the volume holds a shared lock (flock) on the directory above the source, which nobody inside can
         * reach; who may not use it at the same time as others takes that lock exclusively. */
        bool locked;
        /* Of a volume that only one job has at a time: what is in the file VOLUME_HOLDER beside the source as long as
         * it is this job's. Whoever wrote that held the lock exclusively. NULL: several may have it. */
        char *holder;
} Volume;

#define VOLUME_HOLDER "holder"

/* Of a new one: whoever the image's user is, he may write there, as in Docker's. */
#define VOLUME_MODE 0777

void volume_done(Volume *volume);
#define _cleanup_volume_ _cleanup_(volume_done)

/* Appends a volume to @volumes. One with the source "<layer>/" LAYER_VOLUMES "/NAME" (storage/storage.h) in the
 * container's own layer is made with it, and removed with it; other containers of the job may have that source, too.
 * The same goes for one with LAYER_SHARED (machine/shared.h). In @volumes, which are Machine.volumes, each is one text:
 * its parts are separated by a character that no path of a setting has. 0 or -ENOMEM. */
int volume_add(char ***volumes, const char *source, const char *target, bool locked, const char *holder);

/* Reads one such text. 0; -EBADMSG: it is none; -ENOMEM. */
int volume_parse(const char *text, Volume *ret);

/* Locks of a container's volumes. */
typedef struct VolumeLocks {
        int *fds;
        size_t n;
} VolumeLocks;

void volume_locks_done(VolumeLocks *locks);
#define _cleanup_volume_locks_ _cleanup_(volume_locks_done)

/* Takes the locks that @machine needs, without waiting: whoever planned the machine has them still. 0; -EBUSY: somebody
 * cleans or removes a volume; -ESTALE: it was removed, or another
 * job has it now; or another -errno. *reterr_source, to be freed, is then the volume's
 * source (NULL: no memory). */
int volumes_lock(const Machine *machine, VolumeLocks *ret, char **reterr_source);
