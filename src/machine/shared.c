/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Limits what a job shares with its services. `prepare` plans it, and each `supervise` of the job and its services mounts it
 * before the volumes: these find their sources below. No path here is in reach of a job. */

#include "machine/shared.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/volume.h"
#include "storage/disk.h"
#include "storage/storage.h"

int shared_volume_source(Machine *machine, const char *name, char **ret) {
        const StorageDriver *driver = storage_of_machine(machine->settings.storage);

        if (machine->settings.disk_max == UINT64_MAX || !driver || driver->limits_volumes)
                return string_printf(ret, "%s/" LAYER_VOLUMES "/%s", machine->layer, name);
        if (!disk_possible())
                return -ENOPKG;
        machine->needs_loop = true;
        return string_printf(ret, "%s/" LAYER_SHARED "/%s", machine->layer, name);
}

int shared_volumes_directory(const Machine *machine, char **ret) {
        *ret = NULL;
        for (char **text = machine->volumes; text && *text; text++) {
                _cleanup_volume_ Volume volume = { 0 };

                int r = volume_parse(*text, &volume);
                if (r < 0)
                        return r;
                /* A volume that is locked is in a place that outlives the job. */
                char *slash = strrchr(volume.source, '/');
                *slash = 0;
                const char *above = strrchr(volume.source, '/');
                if (!volume.locked && above && streq(above, "/" LAYER_SHARED)) {
                        *ret = TAKE_PTR(volume.source);
                        return 0;
                }
        }
        return 0;
}

static int mount_disk(const Machine *machine, const char *directory, bool own) {
        _cleanup_free_ char *layer = strdup(directory);

        if (!layer)
                return -ENOMEM;
        *strrchr(layer, '/') = 0;
        _cleanup_close_ int layer_fd = open_directory_at(AT_FDCWD, layer, false, 0);
        if (layer_fd < 0)
                return layer_fd;
        if (own && mkdirat(layer_fd, LAYER_SHARED, 0700) < 0 && errno != EEXIST)
                return -errno;
        /* With storage driver `file`, it is there, and has the root's changes, too. */
        int r = disk_join(layer_fd, directory);
        return r == -ENOENT && own ? disk_make(layer_fd, machine->settings.disk_max, directory) : r;
}

/* As in Docker, every user of the containers may write to a new volume. */
static int make_volumes(const Machine *machine, const char *directory) {
        _cleanup_close_ int fd = open_directory_at(AT_FDCWD, directory, false, 0);
        if (fd < 0)
                return fd;
        for (char **text = machine->volumes; text && *text; text++) {
                _cleanup_volume_ Volume volume = { 0 };

                int r = volume_parse(*text, &volume);
                if (r < 0)
                        return r;
                const char *name = startswith(volume.source, directory);
                if (!name || name[0] != '/')
                        continue;
                if (mkdirat(fd, name + 1, VOLUME_MODE) < 0 || fchmodat(fd, name + 1, VOLUME_MODE, 0) < 0)
                        return -errno;
        }
        return 0;
}

static int mount_shared(const Machine *machine, const char *directory) {
        const char *below = startswith(directory, machine->layer);
        const bool own = below && below[0] == '/';

        int r = mount_disk(machine, directory, own);
        if (r < 0)
                return r;
        return own ? make_volumes(machine, directory) : 0;
}

int shared_volumes_mount(const Machine *machine, Problem *reterr_problem) {
        _cleanup_free_ char *directory = NULL;

        int r = shared_volumes_directory(machine, &directory);
        if (r < 0 || !directory)
                return r;
        r = mount_shared(machine, directory);
        if (r == -ENODEV)
                return problem_set(reterr_problem, r, "the job whose directories it shares has ended");
        return r < 0 ? problem_set(reterr_problem, r,
                                   "cannot mount the disk for what the job shares with its services: %m") :
                       0;
}
