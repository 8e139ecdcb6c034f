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

/* Nobody's choice: what plans of machines may name besides. */
static const StorageDriver *const others[] = { &storage_tree, &storage_project, &storage_file, &storage_quota };

const StorageDriver *storage_find(const char *name) {
        for (const StorageDriver *const *driver = storage_drivers; *driver; driver++)
                if (streq((*driver)->name, name))
                        return *driver;
        return NULL;
}

const StorageDriver *storage_of_machine(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (streq(others[i]->name, name))
                        return others[i];
        return storage_find(name);
}

const StorageDriver *storage_limited(const StorageDriver *driver, uint64_t disk_max_bytes, int root_fd) {
        if (disk_max_bytes == UINT64_MAX || driver == &storage_tmpfs)
                return driver;
        if (storage_quota.suits(root_fd))
                return &storage_quota;
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

static void remove_by(const StorageDriver *driver, int layer_fd, uint64_t deadline, int *result) {
        int r = driver->remove ? driver->remove(layer_fd, deadline) : 0;

        /* What others have to do comes after what can be done. */
        if (*result == 0 || (*result == -EINPROGRESS && r < 0))
                *result = r;
}

int storage_remove_any(int layer_fd, uint64_t deadline) {
        int result = btrfs_subvolume_remove_until(layer_fd, LAYER_VOLUMES, deadline);

        for (const StorageDriver *const *driver = storage_drivers; *driver; driver++)
                remove_by(*driver, layer_fd, deadline, &result);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                remove_by(others[i], layer_fd, deadline, &result);
        return result;
}
