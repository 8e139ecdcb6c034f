/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* A layer is what a job changes. It lives in `<root_dir>/.layers/<id>/`, a plain directory of mode 0700 that the caller
 * made and holds locked; a driver puts its own things below it. */

/* The directory of the layer with volumes, which are mounted in the job's container and in those of its services
 * (container/volume.h). No driver makes or removes it: storage_remove_any() does. */
#define LAYER_VOLUMES "volumes"

/* The tree of a job's root, for drivers that make one: always a subvolume, so that it is removed in
 * one step, however large it is. */
#define LAYER_ROOT "root"
/* Where a disk is mounted that limits the volumes of a job and its services (storage/disk.h), visible only in the mount
 * namespaces of their `supervise`: for drivers that limit nothing but the root. */
#define LAYER_SHARED "shared"

typedef struct StorageMount {
        int image_fd;           /* directory of the image, opened in the present mount namespace; negative for drivers
                                 * that do not need it any more */
        int layer_fd;           /* directory of the layer */
        const char *layer_path; /* the same as an absolute path */
        const char *work_dir;   /* absolute path of an empty directory of the job (mode 0700, host root), for mounts
                                 * that are gone again when mount() returns; may hold target */
        const char *target;     /* absolute path of the directory to mount the job's root on */
        int userns_fd;          /* user namespace to map the image through, or negative: no mapping */
        uid_t uid_base;         /* what the user namespace maps 0 to; 0 without one */
        uint32_t uid_range;     /* how many users it maps */
        uint64_t tmpfs_size_bytes; /* of a layer in memory; UINT64_MAX: no limit */
        uint64_t disk_max_bytes;   /* what the job may write; UINT64_MAX: no limit */
} StorageMount;

/* A job whose disk is limited can make one file or directory for each of these many bytes, which is ext4's default. */
#define STORAGE_BYTES_PER_FILE 16384

/* Backends: one const struct each; nobody else switches on their names. */
typedef struct StorageDriver {
        const char *name;
        const char *help; /* for `doctor` and the man page */

        /* The job's root reads from the image as long as the job lives (overlayfs), so nobody may change the image
         * meanwhile: who mounts it holds image_lock_shared() (image/lock.h). Without this, what create() made is
         * independent of the image. */
        bool needs_image;

        /* The job's disk is a loop device, which its supervisor must be allowed to open. */
        bool needs_loop;

        /* What a job writes is not in the layer but in memory, in a file system that only its container has. */
        bool in_memory;

        /* disk_max limits everything in the layer, volumes too. */
        bool limits_volumes;

        /* Could layers be made for images in this directory? `storage: auto` asks each driver in the order of
         * storage_drivers, so this has to be cheap. */
        bool (*suits)(int root_fd);

        /* Makes the driver's part of the layer. Returns 0 or -errno, and what was left is for
         * storage_remove_any().
         * -ELIBACC: a library that this driver needs is not installed. */
        int (*create)(int image_fd, int layer_fd);

        /* In the caller's own mount namespace, whose mounts do not propagate to others: mounts the job's root,
         * writable, on @mount->target, owned by @mount->uid_base, with the image unchanged below; nothing else stays
         * mounted. Once for each create(). Returns 0, or -errno with nothing mounted.
         * -EOPNOTSUPP: the file system of image or layer cannot be mapped to another user range.
         * -ENODEV: this kernel has no overlayfs. */
        int (*mount)(const StorageMount *mount);

        /* How many bytes on disk the layer takes up, without the disk of its volumes (storage/disk.h), where the file
         * system counts them: 0 or -errno. NULL: it does not. */
        int (*usage)(int layer_fd, uint64_t *ret_bytes);

        /* Removes what create() and the job made in the layer, also after a crash at any point, as far as it is done by
         * @deadline (clock_deadline()). NULL: they make nothing there, or the same as with another driver, whose it is.
         * Only storage_remove_any() calls this. 0; -ETIME: there is more to remove; -EINPROGRESS: the kernel has to remove
         * something before a later call can remove the rest; or another -errno. */
        int (*remove)(int layer_fd, uint64_t deadline);
} StorageDriver;

extern const StorageDriver storage_overlay, storage_btrfs, storage_tmpfs;

/* All drivers, in the order that `auto` tries; NULL-terminated. */
extern const StorageDriver *const storage_drivers[];

/* The one of storage_drivers that is called so; NULL: none. */
const StorageDriver *storage_find(const char *name);

/* The tree itself, for work on an image that nobody else uses at the time. Jobs cannot have it, so it is not in
 * storage_drivers. */
extern const StorageDriver storage_tree;

/* They limit what a job can write: by a quota of the disk, of ext4 and XFS or of btrfs, or by a file system in a file of the
 * layer. Not in storage_drivers either. */
extern const StorageDriver storage_project, storage_quota, storage_file;
/* The driver for a job that may write @disk_max_bytes and whose layer is made in @root_fd: @driver, or one of these three if
 * @driver cannot limit that. */
const StorageDriver *storage_limited(const StorageDriver *driver, uint64_t disk_max_bytes, int root_fd);

/* The driver that the plan of a machine names: of storage_drivers, or one of those above. NULL: there is none. */
const StorageDriver *storage_of_machine(const char *name);

/* The driver for images in @root_fd: by @name, or by the file system for "auto". NULL: no such driver. */
const StorageDriver *storage_pick(const char *name, int root_fd);

/* Empties a layer whichever driver made it, LAYER_VOLUMES included: as StorageDriver.remove(). */
int storage_remove_any(int layer_fd, uint64_t deadline);
