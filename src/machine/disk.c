/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out how much a machine has written: asks the file system where that knows, and otherwise looks at each file.
 * Called for `status` and `prune`, and to limit what failed jobs keep. The job may be running and must be expected to
 * change everything meanwhile. */

#include "machine/disk.h"

#include <sys/statfs.h>

#include "base/fd.h"
#include "machine/directory.h"
#include "machine/inside.h"
#include "machine/remove.h"
#include "storage/disk.h"
#include "storage/storage.h"
#include "tree/usage.h"

static const StorageDriver *load_driver(const Settings *settings, const char *id, Machine **ret_machine) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;

        if (machine_directory_open(settings->runtime_dir, id, false, &directory) < 0 ||
            machine_load(&directory, ret_machine) < 0)
                return NULL;
        return storage_of_machine((*ret_machine)->settings.storage);
}

/* An overlay tells the numbers of what it writes to. */
static uint64_t memory_of_root(const Machine *machine) {
        _cleanup_machine_inside_ MachineInside inside = MACHINE_INSIDE_NONE;
        struct statfs system;

        if (machine_inside_open(machine, &inside) < 0 || fstatfs(inside.root_fd, &system) < 0)
                return 0;
        return (uint64_t) (system.f_blocks - system.f_bfree) * (uint64_t) system.f_bsize;
}

int machine_disk_bytes(const Settings *settings, const char *id, uint64_t deadline, uint64_t *ret) {
        _cleanup_usage_ Usage usage = { 0 };
        _cleanup_machine_ Machine *machine = NULL;
        UsageOfTree layer;

        _cleanup_close_ int layer_fd = machine_layer_open(settings, id);
        if (layer_fd < 0)
                return layer_fd;
        const StorageDriver *driver = load_driver(settings, id, &machine);
        if (driver && driver->usage && driver->usage(layer_fd, ret) >= 0) {
                *ret += disk_bytes(layer_fd);
                return 0;
        }
        int r = usage_add(&usage, layer_fd, deadline, &layer);
        if (r < 0 && r != -ETIME)
                return r;
        *ret = layer.own_bytes + (driver && driver->in_memory ? memory_of_root(machine) : 0);
        return r;
}
