/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lists the packages that are installed in a tree, for chroot-diff and job-diff. Reads the files of dpkg, apk and
 * pacman; never runs a program of the tree. */

#include "tree/packages.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

void package_list_done(PackageList *list) {
        for (size_t i = 0; i < list->n; i++) {
                free(list->packages[i].name);
                free(list->packages[i].version);
        }
        free(list->packages);
        *list = (PackageList){ 0 };
}

static int list_add(PackageList *list, const char *name, const char *version) {
        /* The allocated size is the next power of two. */
        if ((list->n & (list->n - 1)) == 0) {
                Package *longer = reallocarray(list->packages, MAX(list->n * 2, (size_t) 1), sizeof(*longer));
                if (!longer)
                        return -ENOMEM;
                list->packages = longer;
        }
        Package package = { .name = strdup(name), .version = strdup(version) };
        if (!package.name || !package.version) {
                free(package.name);
                free(package.version);
                return -ENOMEM;
        }
        list->packages[list->n++] = package;
        return 0;
}

static int compare_packages(const void *a, const void *b) {
        const Package *x = a, *y = b;
        int r = strcmp(x->name, y->name);

        return r != 0 ? r : strcmp(x->version, y->version);
}

/* A paragraph of a file: lines that each have a field and its value. Empty lines separate paragraphs. */
typedef struct Paragraph {
        char name[256], version[256], architecture[64], status[128];
} Paragraph;

typedef struct Syntax {
        const char *name, *version, *architecture;
        const char *status;  /* the field for the state; NULL: every package in the file is installed */
        const char *manager; /* the package that has the native architecture */
} Syntax;

static const Syntax dpkg = { "Package:", "Version:", "Architecture:", "Status:", "dpkg" };
static const Syntax apk = { "P:", "V:", "A:", NULL, "apk-tools" };

static void take_value(const char *value, size_t n, char *ret, size_t size) {
        while (n > 0 && (*value == ' ' || *value == '\t')) {
                value++;
                n--;
        }
        n = MIN(n, size - 1);
        memcpy(ret, value, n);
        ret[n] = 0;
}

static void take_line(const Syntax *syntax, const char *line, size_t n, Paragraph *paragraph) {
        const struct {
                const char *field;
                char *value;
                size_t size;
        } fields[] = {
                { syntax->name, paragraph->name, sizeof(paragraph->name) },
                { syntax->version, paragraph->version, sizeof(paragraph->version) },
                { syntax->architecture, paragraph->architecture, sizeof(paragraph->architecture) },
                { syntax->status, paragraph->status, sizeof(paragraph->status) },
        };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                size_t length = fields[i].field ? strlen(fields[i].field) : 0;
                if (length > 0 && n >= length && memcmp(line, fields[i].field, length) == 0)
                        take_value(line + length, n - length, fields[i].value, fields[i].size);
        }
}

static bool is_installed(const Syntax *syntax, const Paragraph *paragraph) {
        if (!*paragraph->name || !*paragraph->version)
                return false;
        return !syntax->status ||
               (!endswith(paragraph->status, " not-installed") && !endswith(paragraph->status, " config-files"));
}

/* Reads the next paragraph and moves *text behind it. False at the end. */
static bool next_paragraph(const Syntax *syntax, const char **text, size_t *size, Paragraph *ret) {
        *ret = (Paragraph){ 0 };
        if (*size == 0)
                return false;
        while (*size > 0) {
                const char *end = memchr(*text, '\n', *size);
                size_t n = end ? (size_t) (end - *text) : *size;

                take_line(syntax, *text, n, ret);
                *text += MIN(n + 1, *size);
                *size -= MIN(n + 1, *size);
                if (n == 0)
                        break;
        }
        return true;
}

static int parse(const Syntax *syntax, const char *text, size_t size, PackageList *ret) {
        _cleanup_package_list_ PackageList list = { 0 };
        char native[64] = "";
        Paragraph paragraph;
        const char *rest = text;
        size_t left = size;

        while (next_paragraph(syntax, &rest, &left, &paragraph))
                if (streq(paragraph.name, syntax->manager))
                        memcpy(native, paragraph.architecture, sizeof(native));
        while (next_paragraph(syntax, &text, &size, &paragraph)) {
                char name[sizeof(paragraph.name) + sizeof(paragraph.architecture) + 1];
                bool foreign = *native && *paragraph.architecture && !streq(paragraph.architecture, native) &&
                               !streq(paragraph.architecture, "all") && !streq(paragraph.architecture, "noarch");

                if (!is_installed(syntax, &paragraph))
                        continue;
                snprintf(name, sizeof(name), "%s%s%s", paragraph.name, foreign ? ":" : "",
                         foreign ? paragraph.architecture : "");
                int r = list_add(&list, name, paragraph.version);
                if (r < 0)
                        return r;
        }
        SORT(list.packages, list.n, compare_packages);
        *ret = list;
        list = (PackageList){ 0 };
        return 0;
}

int packages_parse_dpkg(const char *text, size_t size, PackageList *ret) {
        return parse(&dpkg, text, size, ret);
}

int packages_parse_apk(const char *text, size_t size, PackageList *ret) {
        return parse(&apk, text, size, ret);
}

static int read_file(int tree_fd, const char *path, int (*parser)(const char *text, size_t size, PackageList *ret),
                     PackageList *ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        int r = file_find_in_root(tree_fd, path, PACKAGES_FILE_BYTES_MAX, &text, &size);
        return r < 0 ? r : parser(text, size, ret);
}

/* pacman has a directory for each package: NAME-VERSION-RELEASE. */
static int read_pacman(int tree_fd, PackageList *ret) {
        _cleanup_package_list_ PackageList list = { 0 };
        _cleanup_closedir_ DIR *dir = NULL;

        int r = directory_find_in_root(tree_fd, "var/lib/pacman/local", &dir);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry && errno != 0)
                        return -errno;
                if (!entry)
                        break;
                char *release = strrchr(entry->d_name, '-'), *version = NULL;
                if (!release || release == entry->d_name)
                        continue;
                version = memrchr(entry->d_name, '-', (size_t) (release - entry->d_name));
                if (!version || version == entry->d_name)
                        continue;
                *version = 0;
                r = list_add(&list, entry->d_name, version + 1);
                if (r < 0)
                        return r;
        }
        SORT(list.packages, list.n, compare_packages);
        *ret = list;
        list = (PackageList){ 0 };
        return 0;
}

int packages_read(int tree_fd, PackageList *ret) {
        int r = read_file(tree_fd, DPKG_STATUS, packages_parse_dpkg, ret);
        if (r == -ENOENT)
                r = read_file(tree_fd, "lib/apk/db/installed", packages_parse_apk, ret);
        if (r == -ENOENT)
                r = read_file(tree_fd, "usr/lib/apk/db/installed", packages_parse_apk, ret);
        if (r == -ENOENT)
                r = read_pacman(tree_fd, ret);
        return r;
}
