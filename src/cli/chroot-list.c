/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-list`: one row for each generation of each image, with what a job on it would get. Only reads; an
 * image that goes meanwhile is left out. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "image/generation.h"
#include "machine/collect.h"
#include "machine/directory.h"
#include "maintain/image-cache.h"
#include "maintain/image-roots.h"
#include "storage/storage.h"
#include "terminal/table.h"
#include "terminal/time-text.h"
#include "tree/size.h"
#include "tree/subvolume.h"

/* One row for each generation of each image. created: when the image was made from its source; updated: when this
 * generation was; jobs: how many run on it; storage: the driver that a job would use; type: what the image is, a
 * subvolume or a directory. The digest is for programs: people would have it in the way. */
enum {
        NAME,
        GENERATION,
        SOURCE,
        CREATED,
        UPDATED,
        JOBS,
        STORAGE,
        TYPE,
        SIZE,
        BOOT,
        PATH,
        DIGEST,
        N_COLUMNS,
};
static const TableColumn columns[N_COLUMNS + 1] = {
        [NAME] = { "name", COLUMN_TEXT, .shortens = true },
        [GENERATION] = { "generation", COLUMN_NUMBER, .rank = 1 },
        [SOURCE] = { "source", COLUMN_TEXT, .shortens = true },
        [CREATED] = { "created", COLUMN_TEXT, .rank = 4 },
        [UPDATED] = { "updated", COLUMN_TEXT },
        [JOBS] = { "jobs", COLUMN_NUMBER },
        [STORAGE] = { "storage", COLUMN_TEXT, .rank = 3 },
        [TYPE] = { "type", COLUMN_TEXT, .rank = 5 },
        [SIZE] = { "size", COLUMN_NUMBER },
        [BOOT] = { "boot", COLUMN_TEXT, .rank = 2 },
        [PATH] = { "path", COLUMN_TEXT, .rank = 6 },
        [DIGEST] = { "digest", COLUMN_TEXT, .only_json = true },
};

/* The tree of a job. */
typedef struct Use {
        char *handle; /* file_handle_text(), or NULL: then what the plan says has to do, */
        char *path;   /* the image, which may have another name by now, */
        uint64_t generation;
} Use;

typedef struct List {
        const Settings *settings;
        int root_fd;
        bool json;
        Table *table;
        Use *uses; /* one for each job */
        size_t n_uses;
        size_t n_rows;
        bool incomplete; /* something cannot be looked at, and may be an image */
} List;

static void list_done(List *list) {
        for (size_t i = 0; i < list->n_uses; i++) {
                free(list->uses[i].handle);
                free(list->uses[i].path);
        }
        free(list->uses);
        table_free(list->table);
}

static int find_uses(List *list) {
        _cleanup_strv_ char **ids = NULL;

        int r = machine_list(list->settings, false, &ids);
        if (r < 0)
                return r;
        list->uses = calloc(strv_length(ids) + 1, sizeof(*list->uses));
        if (!list->uses)
                return -ENOMEM;
        for (char **id = ids; id && *id; id++) {
                _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
                _cleanup_machine_ Machine *machine = NULL;
                MachineState state = machine_state(list->settings, *id);

                if ((state != MACHINE_RUNNING && state != MACHINE_KEPT && state != MACHINE_BUSY) ||
                    machine_directory_open(list->settings->runtime_dir, *id, false, &directory) < 0 ||
                    machine_load(&directory, &machine) < 0)
                        continue;
                list->uses[list->n_uses++] = (Use){ TAKE_PTR(machine->image_handle), TAKE_PTR(machine->image_path),
                                                    machine->generation };
        }
        return 0;
}

/* What jobs of an image would get, the same for all its generations; NULL or nothing if its definition cannot be
 * used. */
typedef struct Machines {
        const StorageDriver *driver;
        BootMode boot;
} Machines;

static int find_machines(const List *list, const char *name, Machines *ret) {
        _cleanup_(settings_done) Settings storage = { 0 };
        const Settings *settings;

        *ret = (Machines){ 0 };
        int r = image_settings_logged(list->settings, name, &storage, &settings);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        ret->driver = storage_pick(settings->storage, list->root_fd);
        ret->boot = settings->boot;
        if (ret->driver)
                return 0;
        log_error("There is no storage driver '%s'", settings->storage);
        return -EINVAL;
}

static const char *boot_mode(const Image *image, BootMode boot) {
        const char *init;

        int r = image_boot(image->fd, boot, &init);
        if (r == -ENOEXEC)
                return "no systemd"; /* but the configuration wants it: jobs of this image fail */
        if (r < 0)
                return "?";
        return init ? "yes" : "no";
}

static const char *format_size(const List *list, const Image *image, char ret[static 24]) {
        uint64_t bytes;

        int r = tree_size(image->fd, &bytes);
        if (r < 0) {
                log_warning_errno(r, "Cannot find out the size of image '%s': %m", image->path);
                return NULL;
        }
        if (!list->json)
                return format_bytes(bytes, ret);
        snprintf(ret, 24, "%" PRIu64, bytes);
        return ret;
}

static size_t count_jobs(const List *list, const Image *image) {
        _cleanup_free_ char *handle = NULL;
        size_t n = 0;

        (void) file_handle_text(image->fd, &handle);
        for (size_t i = 0; i < list->n_uses; i++) {
                const Use *use = &list->uses[i];

                n += handle && use->handle ?
                             streq(handle, use->handle) :
                             use->generation == image->generation && streq(use->path, image->current_path);
        }
        return n;
}

static int add_row(List *list, const Machines *machines, const Image *image, const char *name) {
        _cleanup_generation_ Generation *about = NULL;
        char generation[24], jobs[24], size[24], created[TIME_TEXT_BYTES], updated[TIME_TEXT_BYTES];

        int r = generation_load_of(image, &about);
        if (r < 0)
                log_warning_errno(r, "Cannot read the description of image '%s': %m", name);
        snprintf(generation, sizeof(generation), "%" PRIu64, image->generation);
        snprintf(jobs, sizeof(jobs), "%zu", count_jobs(list, image));

        const char *cells[N_COLUMNS] = {
                [NAME] = name,
                [GENERATION] = image->generation > 0 ? generation : NULL,
                [JOBS] = jobs,
                [STORAGE] = machines->driver ? machines->driver->name : NULL,
                [TYPE] = btrfs_is_subvolume(image->fd) ? "subvolume" : "directory",
                [SIZE] = format_size(list, image, size),
                [BOOT] = machines->driver ? boot_mode(image, machines->boot) : NULL,
                [PATH] = image->path,
        };
        if (about) {
                cells[SOURCE] = about->source;
                cells[DIGEST] = about->digest;
                if (about->created_usec > 0)
                        cells[CREATED] = time_text(about->created_usec, list->json, created);
                if (about->updated_usec > 0)
                        cells[UPDATED] = time_text(about->updated_usec, list->json, updated);
        }
        list->n_rows++;
        return table_add(list->table, cells);
}

/* Adds the current generation and the old ones, newest first, by the names that jobs use. Jobs cannot name
 * generations of registries' images: for those, @reference stands for all; else it is NULL. */
static int add_image(List *list, const char *root_dir, const char *name, const char *reference) {
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ uint64_t *numbers = NULL;
        Machines machines;
        size_t n;

        if (image_open(root_dir, name, &image) < 0)
                return 0; /* gone meanwhile */
        int r = find_machines(list, reference ? reference : name, &machines);
        if (r < 0)
                return r;
        r = add_row(list, &machines, image, reference ? reference : name);
        if (r < 0)
                return r;
        r = generation_list_old(root_dir, name, &numbers, &n);
        if (r < 0)
                return r;
        while (n-- > 0) {
                _cleanup_image_ Image *old = NULL;
                _cleanup_free_ char *numbered = NULL;

                r = generation_open(root_dir, name, numbers[n], &old);
                if (r < 0 || numbers[n] == image->generation)
                        continue;
                r = string_printf(&numbered, "%s@%" PRIu64, name, numbers[n]);
                if (r < 0)
                        return r;
                r = add_row(list, &machines, old, reference ? reference : numbered);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Those of registries, by their references. */
static int add_cached_images(List *list) {
        _cleanup_free_ char *root = NULL;
        _cleanup_strv_ char **names = NULL;

        int r = image_root_path(list->settings->root_dir, IMAGE_ROOT_REGISTRIES, &root);
        if (r < 0)
                return r;
        r = list_images(root, &names);
        if (r < 0)
                return r;
        list->incomplete |= r > 0;
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *reference = NULL;

                r = image_cache_reference(root, *name, &reference);
                if (r < 0)
                        return r;
                r = add_image(list, root, *name, reference);
                if (r < 0)
                        return r;
        }
        return r;
}

static int add_images(List *list, char *const *names) {
        _cleanup_close_ int root_fd = open(list->settings->root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return errno == ENOENT ?
                               0 :
                               log_error_errno(errno, "Cannot open the image root '%s': %m", list->settings->root_dir);
        list->root_fd = root_fd;

        int r = find_uses(list);
        if (r < 0)
                return log_error_errno(r, "Cannot list the jobs: %m");
        for (; names && *names; names++) {
                r = add_image(list, list->settings->root_dir, *names, NULL);
                if (r < 0)
                        return log_error_errno(r, "Cannot print the list: %m");
        }
        r = add_cached_images(list);
        return r < 0 ? log_error_errno(r, "Cannot print the list: %m") : 0;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        _cleanup_(list_done) List list = { .settings = settings, .json = invocation_has(invocation, "json") };
        _cleanup_strv_ char **names = NULL;

        int r = list_images(settings->root_dir, &names);
        if (r < 0)
                return log_error_errno(r, "Cannot list the images in '%s': %m", settings->root_dir);
        list.incomplete = r > 0;

        r = table_new_logged("images", columns, list.json, &list.table);
        if (r < 0)
                return r;
        busy_begin("Measuring");
        r = add_images(&list, names);
        busy_end();
        if (r < 0)
                return r;
        if (list.n_rows == 0 && !list.json) {
                log_notice("There are no images in '%s': make one with 'nspawn-runner chroot-create NAME'",
                           settings->root_dir);
                return list.incomplete ? -EIO : 0;
        }
        r = table_print(list.table);
        if (r < 0)
                return log_error_errno(r, "Cannot print the list: %m");
        return list.incomplete ? -EIO : 0;
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_chroot_list = {
        .name = "chroot-list",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "List the images and their generations",
};
