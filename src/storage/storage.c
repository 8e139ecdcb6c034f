/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The list of storage drivers and the choice among them: for configuration, `doctor`, the plan of a container, and
 * cleanup. Only here is a driver looked up by its name. */

#include "storage/storage.h"

#include "base/string.h"
#include "tree/subvolume.h"

const StorageDriver *const storage_drivers[] = {
        &storage_btrfs,
        &storage_overlay,
        &storage_tmpfs,
        NULL,
};

const StorageDriver *storage_find(const char *name) {
        for (const StorageDriver *const *driver = storage_drivers; *driver; driver++)
                if (streq((*driver)->name, name))
                        return *driver;
        return NULL;
}

const StorageDriver *storage_of_machine(const char *name) {
        if (streq(name, storage_tree.name))
                return &storage_tree;
        if (streq(name, storage_project.name))
                return &storage_project;
        return streq(name, storage_file.name) ? &storage_file : storage_find(name);
}

const StorageDriver *storage_limited(const StorageDriver *driver, uint64_t disk_max_bytes, int root_fd) {
        if (disk_max_bytes == UINT64_MAX || driver == &storage_tmpfs)
                return driver;
        return driver == &storage_overlay && storage_project.suits(root_fd) ? &storage_project : &storage_file;
}

const StorageDriver *storage_pick(const char *name, int root_fd) {
        if (!streq(name, "auto"))
                return storage_find(name);

        for (const StorageDriver *const *driver = storage_drivers; *driver; driver++)
                if ((*driver)->suits(root_fd))
                        return *driver;
        return NULL;
}

int storage_remove_any(int layer_fd, uint64_t deadline) {
        int result = btrfs_subvolume_remove_until(layer_fd, LAYER_VOLUMES, deadline);

        for (const StorageDriver *const *driver = storage_drivers; *driver; driver++) {
                int r = (*driver)->remove(layer_fd, deadline);
                if (result == 0)
                        result = r;
        }
        int r = storage_file.remove(layer_fd, deadline);
        return result == 0 ? r : result;
}
