/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/command.h"
#include "cli/table.h"
#include "image/image.h"
#include "storage/storage.h"
#include "storage/subvolume.h"

/* storage: the driver that a job would use; type: what the image is, a subvolume or a directory. */
static const TableColumn columns[] = {
        { "name", COLUMN_TEXT },
        { "path", COLUMN_TEXT },
        { "storage", COLUMN_TEXT },
        { "type", COLUMN_TEXT },
        { "size", COLUMN_NUMBER },
        { "boot", COLUMN_TEXT },
        { 0 },
};

static const char *boot_mode(const Image *image, BootMode boot) {
        const char *init;

        if (image_boot(image, boot, &init) < 0)
                return "no systemd"; /* but the configuration wants it: jobs of this image fail */
        return init ? "yes" : "no";
}

static int add_image(const Image *image, const StorageDriver *driver, BootMode boot, bool json, Table *table) {
        char size[24] = "";
        uint64_t bytes;

        int r = image_size(image, &bytes);
        if (r < 0)
                log_warning_errno(r, "Cannot find out the size of image '%s': %m", image->name);
        else if (json)
                snprintf(size, sizeof(size), "%" PRIu64, bytes);
        else
                (void) format_bytes(bytes, size);

        const char *cells[ELEMENTSOF(columns) - 1] = {
                image->name,         image->path,
                driver->name,        btrfs_is_subvolume(image->fd) ? "subvolume" : "directory",
                *size ? size : NULL, boot_mode(image, boot),
        };
        return table_add(table, cells);
}

static int add_images(const Settings *settings, char *const *names, bool json, Table *table) {
        _cleanup_close_ int root_fd = open(settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return log_error_errno(errno, "Cannot open the image root '%s': %m", settings->root_dir);
        const StorageDriver *driver = storage_pick(settings->storage, root_fd);
        if (!driver) {
                log_error("There is no storage driver '%s'", settings->storage);
                return -EINVAL;
        }

        for (; *names; names++) {
                _cleanup_image_ Image *image = NULL;

                if (image_open(settings->root_dir, *names, &image) < 0)
                        continue; /* gone meanwhile */
                int r = add_image(image, driver, settings->boot, json, table);
                if (r < 0)
                        return log_error_errno(r, "Cannot print the list: %m");
        }
        return 0;
}

int cmd_chroot_list(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        bool json = invocation_has(invocation, "json");
        _cleanup_table_ Table *table = NULL;
        _cleanup_strv_ char **names = NULL;

        int r = image_list(settings->root_dir, &names);
        if (r < 0)
                return log_error_errno(r, "Cannot list the images in '%s': %m", settings->root_dir);
        if (!names && !json) {
                log_notice("There are no images in '%s': make one with 'nspawn-runner chroot-create NAME'",
                           settings->root_dir);
                return 0;
        }

        r = table_new("images", columns, json, &table);
        if (r == -ENOENT)
                return log_error_errno(r, "libsmartcols.so.1 is not installed (package libsmartcols1)");
        if (r < 0)
                return log_error_errno(r, "Cannot print the list: %m");
        if (names) {
                r = add_images(settings, names, json, table);
                if (r < 0)
                        return r;
        }
        r = table_print(table);
        return r < 0 ? log_error_errno(r, "Cannot print the list: %m") : 0;
}
