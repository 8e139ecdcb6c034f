/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-diff`: shows packages and files that differ between two generations. Only reads, and holds both
 * trees meanwhile. */

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/table.h"
#include "image/generation.h"
#include "tree/compare.h"
#include "tree/packages.h"

/* old and new: the version of a package; mode, owner and size, or the target, of a file. */
static const TableColumn columns[] = {
        { "change", COLUMN_TEXT }, { "kind", COLUMN_TEXT }, { "name", COLUMN_TEXT },
        { "old", COLUMN_TEXT },    { "new", COLUMN_TEXT },  { 0 },
};

typedef struct Diff {
        const Image *old, *new;
        Table *table;
        size_t n_rows;
} Diff;

static int add_row(Diff *diff, const char *kind, const char *name, const char *old, const char *new) {
        const char *cells[] = { !old ? "added" : !new ? "removed" : "changed", kind, name, old, new };

        diff->n_rows++;
        return table_add(diff->table, cells);
}

static int compare_packages(Diff *diff, const PackageList *old, const PackageList *new) {
        int r = 0;

        for (size_t i = 0, j = 0; r >= 0 && (i < old->n || j < new->n);) {
                const Package *a = i < old->n ? &old->packages[i] : NULL, *b = j < new->n ? &new->packages[j] : NULL;
                int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);

                if (order != 0)
                        r = add_row(diff, "package", order < 0 ? a->name : b->name, order < 0 ? a->version : NULL,
                                    order > 0 ? b->version : NULL);
                else if (!streq(a->version, b->version))
                        r = add_row(diff, "package", a->name, a->version, b->version);
                i += order <= 0;
                j += order >= 0;
        }
        return r;
}

/* The packages of a tree; one without a package manager that we know has none. Returns whether it has one, or -errno. */
static int read_packages(const Image *image, PackageList *ret) {
        int r = packages_read(image->fd, ret);

        if (r == -ENOENT)
                return 0;
        return r < 0 ? log_error_errno(r, "Cannot read the packages of '%s': %m", image->path) : 1;
}

static int diff_packages(Diff *diff) {
        _cleanup_package_list_ PackageList old = { 0 }, new = { 0 };

        int r = read_packages(diff->old, &old);
        int q = r < 0 ? r : read_packages(diff->new, &new);
        if (r < 0 || q < 0)
                return MIN(r, q);
        if (!r && !q)
                log_warning("Image '%s' has no list of packages that can be read (of dpkg, apk or pacman)",
                            diff->new->title);
        r = compare_packages(diff, &old, &new);
        return r < 0 ? log_error_errno(r, "Cannot print the differences: %m") : 0;
}

static void describe(const struct stat *st, const char *target, const char *note, char *ret, size_t size) {
        if (target) {
                snprintf(ret, size, "-> %s", target);
                return;
        }
        int n = snprintf(ret, size, "%04o %u:%u", (unsigned) st->st_mode & 07777, st->st_uid, st->st_gid);
        if (S_ISREG(st->st_mode))
                n += snprintf(ret + n, size - (size_t) n, " %lld bytes", (long long) st->st_size);
        else
                n += snprintf(ret + n, size - (size_t) n, " %s",
                              S_ISDIR(st->st_mode)  ? "directory" :
                              S_ISFIFO(st->st_mode) ? "fifo" :
                              S_ISSOCK(st->st_mode) ? "socket" :
                                                      "device");
        snprintf(ret + n, size - (size_t) n, "%s", note);
}

static int on_difference(void *userdata, const Difference *difference) {
        const struct stat *a = difference->old, *b = difference->new;
        _cleanup_free_ char *path = NULL;
        Diff *diff = userdata;
        char old[512], new[512];
        /* Where the rest would look the same. */
        const char *note = difference->content && a->st_size == b->st_size ? ", other content" : "";

        int r = string_printf(&path, "/%s", difference->path);
        if (r < 0)
                return r;
        if (a)
                describe(a, difference->old_target, "", old, sizeof(old));
        if (b)
                describe(b, difference->new_target, note, new, sizeof(new));
        return add_row(diff, "file", path, a ? old : NULL, b ? new : NULL);
}

static int print_differences(Diff *diff, bool files, bool json) {
        int r = table_new("differences", columns, json, &diff->table);
        if (r == -ENOENT)
                return log_error_errno(r, "libsmartcols.so.1 is not installed (package libsmartcols1)");
        if (r < 0)
                return log_error_errno(r, "Cannot print the differences: %m");
        r = diff_packages(diff);
        if (r < 0)
                return r;
        if (files) {
                r = compare_trees(diff->old->fd, diff->new->fd, on_difference, diff);
                if (r < 0)
                        return log_error_errno(r, "Cannot compare '%s' and '%s': %m", diff->old->path, diff->new->path);
        }
        r = table_print(diff->table);
        if (r < 0)
                return log_error_errno(r, "Cannot print the differences: %m");
        if (diff->n_rows == 0 && !json)
                log_notice("No %s differ between generations %" PRIu64 " and %" PRIu64 " of image '%s'",
                           files ? "packages and files" : "packages", diff->old->generation, diff->new->generation,
                           diff->new->title);
        return 0;
}

/* Opens the earlier generation to compare with: as asked for, or the one before. */
static int hold_old(const Settings *settings, const Image *image, const char *wanted, Image **ret) {
        _cleanup_free_ char *reference = NULL;
        uint64_t number = 0;

        if (wanted && (parse_uint64(wanted, &number) < 0 || number == 0)) {
                log_error("A generation is a number that 'chroot-list' shows, not '%.200s'", wanted);
                return COMMAND_MISUSED;
        }
        int r = wanted ? 0 : generation_previous(image->root_dir, image->name, image->generation, &number);
        if (r == -ENOENT)
                log_error("Image '%s' has no earlier generation", image->title);
        else if (r < 0)
                log_error_errno(r, "Cannot list the generations of image '%s': %m", image->title);
        if (r < 0)
                return r;
        if (string_printf(&reference, "%s@%" PRIu64, image->name, number) < 0)
                return log_oom();
        if (streq(image->root_dir, settings->root_dir))
                return hold_image_logged(settings, reference, ret);
        r = generation_hold_reference(image->root_dir, reference, ret);
        return r < 0 ? log_error_errno(r, "Cannot open generation %" PRIu64 " of image '%s': %m", number,
                                       image->title) :
                       0;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        _cleanup_image_ Image *old = NULL, *new = NULL;

        int r = hold_image_logged(settings, invocation_argument(invocation, 0), &new);
        if (r < 0)
                return r;
        r = hold_old(settings, new, invocation_argument(invocation, 1), &old);
        if (r < 0)
                return r;
        Diff diff = { .old = old, .new = new };
        r = print_differences(&diff, invocation_has(invocation, "files"), invocation_has(invocation, "json"));
        table_free(diff.table);
        return r;
}

static const CommandOption options[] = {
        { "files", NULL, "show files as well as packages", 0 },
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_chroot_diff = {
        .name = "chroot-diff",
        .synopsis = "NAME [GENERATION]",
        .min_arguments = 1,
        .max_arguments = 2,
        .options = options,
        .run = run,
        .help = "Show what changed in an image since an earlier generation",
};
