/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `df`: how much room images, what jobs wrote, and what is kept for later take up. What several of them share counts
 * once in the total. Only looks; what goes meanwhile is left out. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "config/image-reference.h"
#include "image/generation.h"
#include "maintain/image-cache.h"
#include "maintain/kept-tree.h"
#include "maintain/push-image.h"
#include "storage/trash.h"
#include "store/store.h"
#include "tree/usage.h"

typedef struct Report {
        const char *root_dir;
        bool json;
        Table *table;
        Usage usage;
} Report;

static const char *size_text(const Report *report, uint64_t bytes, char ret[static 24]) {
        if (!report->json)
                return format_bytes(bytes, ret);
        snprintf(ret, 24, "%" PRIu64, bytes);
        return ret;
}

static int add_row(Report *report, const char *kind, const char *name, const UsageOfTree *tree) {
        char size[24], own[24];

        return table_add(report->table, (const char *const[]){ kind, name, size_text(report, tree->bytes, size),
                                                               size_text(report, tree->own_bytes, own) });
}

/* A directory by its path: 1 with what is in it, 0 if it is gone, or -errno. */
static int measure(Report *report, const char *path, UsageOfTree *ret) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
        int r = usage_add(&report->usage, fd, ret);
        return r < 0 ? r : 1;
}

static int add_path(Report *report, const char *kind, const char *name, const char *path) {
        UsageOfTree tree;

        int r = measure(report, path, &tree);
        return r <= 0 ? r : add_row(report, kind, name, &tree);
}

static int add_old_generations(Report *report, const char *name) {
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;

        int r = generation_list_old(report->root_dir, name, &numbers, &n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_free_ char *path = NULL, *title = NULL;

                if (string_printf(&path, "%s/" GENERATIONS_DIRECTORY "/%s/%" PRIu64, report->root_dir, name,
                                  numbers[i]) < 0 ||
                    string_printf(&title, "%s@%" PRIu64, name, numbers[i]) < 0)
                        return -ENOMEM;
                r = add_path(report, "generation", title, path);
        }
        return r;
}

static int add_images(Report *report) {
        _cleanup_strv_ char **names = NULL;

        int r = image_list(report->root_dir, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *path = NULL;

                if (string_printf(&path, "%s/%s", report->root_dir, *name) < 0)
                        return -ENOMEM;
                r = add_path(report, "image", *name, path);
                if (r < 0)
                        return r;
                r = add_old_generations(report, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_registry_images(Report *report) {
        _cleanup_free_ char *root = NULL;
        _cleanup_strv_ char **names = NULL;

        int r = image_cache_root(report->root_dir, &root);
        if (r < 0)
                return r;
        r = image_list(root, &names);
        for (char **name = names; r >= 0 && name && *name; name++) {
                _cleanup_free_ char *path = NULL, *reference = image_reference_from_name(*name);

                if (!reference || string_printf(&path, "%s/%s", root, *name) < 0)
                        return -ENOMEM;
                r = add_path(report, "registry image", reference, path);
        }
        return r;
}

/* All that is in a directory of ours, in one row, which says how many there are. */
static int add_directory(Report *report, const char *kind, const char *directory) {
        _cleanup_free_ char *path = NULL, *title = NULL;
        _cleanup_strv_ char **names = NULL;
        UsageOfTree all = { 0 };
        size_t n = 0;

        if (string_printf(&path, "%s/%s", report->root_dir, directory) < 0)
                return -ENOMEM;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        int r = directory_names(fd, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_close_ int entry_fd = openat(fd, *name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                UsageOfTree tree;

                if (entry_fd < 0)
                        continue; /* gone, or no directory: nothing of ours */
                r = usage_add(&report->usage, entry_fd, &tree);
                if (r < 0)
                        return r;
                all.bytes += tree.bytes;
                all.own_bytes += tree.own_bytes;
                n++;
        }
        if (n == 0)
                return 0;
        r = string_printf(&title, "(%zu)", n);
        return r < 0 ? r : add_row(report, kind, title, &all);
}

static int add_all(Report *report) {
        static const struct {
                const char *kind, *directory;
        } directories[] = {
                { "jobs", ".layers" },
                { "caches", ".caches" },
                { "working copies", ".builds" },
                { "kept trees", KEPT_TREE_DIRECTORY },
                { "pushed images", PUSHED_DIRECTORY },
                { "being made", ".staging" },
                { "trash", TRASH_DIRECTORY },
        };

        BUSY("Measuring");
        int r = add_images(report);
        if (r < 0)
                return r;
        r = add_registry_images(report);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                r = add_directory(report, directories[i].kind, directories[i].directory);
                if (r < 0)
                        return r;
        }
        uint64_t total = usage_total(&report->usage);
        char size[24];
        return table_add(report->table, (const char *const[]){ "total", NULL, size_text(report, total, size), NULL });
}

static int fill_and_print(Report *report) {
        int r = add_all(report);
        return r < 0 ? r : table_print(report->table);
}

static int run(const Invocation *invocation) {
        static const TableColumn columns[] = {
                { "kind", COLUMN_TEXT },
                { "name", COLUMN_TEXT },
                { "size", COLUMN_NUMBER },
                { "own", COLUMN_NUMBER },
                { 0 },
        };
        Report report = {
                .root_dir = invocation->settings->root_dir,
                .json = invocation_has(invocation, "json"),
        };

        if (geteuid() != 0) {
                log_error("Only root can look into all directories");
                return -EPERM;
        }
        int r = table_new_logged("usage", columns, report.json, &report.table);
        if (r < 0)
                return r;
        r = fill_and_print(&report);
        usage_done(&report.usage);
        table_free(report.table);
        return r < 0 ? log_error_errno(r, "Cannot find out how large all in '%s' is: %m", report.root_dir) : 0;
}

static const CommandOption options[] = {
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_df = {
        .name = "df",
        .synopsis = "",
        .options = options,
        .run = run,
        .help = "Show how much room images, jobs and what is kept take up",
};
