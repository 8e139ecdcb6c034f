/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints what differs between two trees, for chroot-diff and job-diff. Only reads; neither tree is trusted. */

#include "cli/differences.h"

#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "base/string.h"
#include "terminal/table.h"
#include "tree/compare.h"
#include "tree/packages.h"

/* old and new: the version of a package; mode, owner and size, or the target, of a file. */
static const TableColumn columns[] = {
        { "change", COLUMN_TEXT },
        { "kind", COLUMN_TEXT },
        { "name", COLUMN_TEXT, .shortens = true },
        { "old", COLUMN_TEXT, .shortens = true, .rank = 2 },
        { "new", COLUMN_TEXT, .shortens = true, .rank = 1 },
        { 0 },
};

typedef struct Diff {
        const DifferencesRequest *request;
        Table *table;
        size_t n_rows;
} Diff;

static int add_row(Diff *diff, const char *kind, const char *name, const char *old, const char *new) {
        const char *cells[] = { !old ? "added" : !new ? "removed" : "changed", kind, name, old, new };

        diff->n_rows++;
        return table_add(diff->table, cells);
}

static int compare_packages(Diff *diff, const PackageList *old, const PackageList *new) {
        for (size_t i = 0, j = 0; i < old->n || j < new->n;) {
                const Package *a = i < old->n ? &old->packages[i] : NULL, *b = j < new->n ? &new->packages[j] : NULL;
                int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name), r = 0;

                if (order != 0)
                        r = add_row(diff, "package", order < 0 ? a->name : b->name, order < 0 ? a->version : NULL,
                                    order > 0 ? b->version : NULL);
                else if (!streq(a->version, b->version))
                        r = add_row(diff, "package", a->name, a->version, b->version);
                if (r < 0)
                        return r;
                i += order <= 0;
                j += order >= 0;
        }
        return 0;
}

/* The packages of a tree; one without a package manager that we know has none. Returns whether it has one, or -errno. */
static int read_packages(int fd, const char *name, PackageList *ret) {
        int r = packages_read(fd, ret);

        if (r == -ENOENT)
                return 0;
        return r < 0 ? log_error_errno(r, "Cannot read the packages of '%s': %m", name) : 1;
}

static int diff_packages(Diff *diff) {
        _cleanup_package_list_ PackageList old = { 0 }, new = { 0 };

        const DifferencesRequest *request = diff->request;
        int r = read_packages(request->old_fd, request->old_name, &old);
        int q = r < 0 ? r : read_packages(request->new_fd, request->new_name, &new);
        if (r < 0 || q < 0)
                return MIN(r, q);
        if (!r && !q)
                log_warning("'%s' has no list of packages that can be read (of dpkg, apk or pacman)",
                            request->new_name);
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
        /* Only if nothing else in the row shows the difference. */
        const char *note = difference->content && a->st_size == b->st_size ? ", other content" : "";

        if (diff->request->is_ours && diff->request->is_ours(difference->path))
                return 0;
        int r = string_printf(&path, "/%s", difference->path);
        if (r < 0)
                return r;
        if (a)
                describe(a, difference->old_target, "", old, sizeof(old));
        if (b)
                describe(b, difference->new_target, note, new, sizeof(new));
        return add_row(diff, "file", path, a ? old : NULL, b ? new : NULL);
}

/* 0 or -errno, logged. */
static int compare(Diff *diff) {
        const DifferencesRequest *request = diff->request;

        int r = diff_packages(diff);
        if (r < 0 || !request->files)
                return r;
        r = compare_trees(request->old_fd, request->new_fd, request->new_owner_base, on_difference, diff);
        return r < 0 ? log_error_errno(r, "Cannot compare '%s' and '%s': %m", request->old_name, request->new_name) : 0;
}

int differences_print_logged(const DifferencesRequest *request) {
        _cleanup_table_ Table *table = NULL;

        int r = table_new_logged("differences", columns, request->json, &table);
        if (r < 0)
                return r;
        Diff diff = { .request = request, .table = table };
        r = compare(&diff);
        if (r < 0)
                return r;
        r = table_print(table);
        return r < 0 ? log_error_errno(r, "Cannot print the differences: %m") :
                       (int) MIN(diff.n_rows, (size_t) INT_MAX);
}
