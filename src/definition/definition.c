/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds definitions of images, loads them, and puts their settings over those of the configuration. Called by every
 * command that uses an image's settings, `prepare` included. Definitions are the administrator's: this must only read
 * them, and their names must be names that an image can have. */

#include "definition/definition.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "config/config-data.h"
#include "config/image-name.h"

static const char *const suffixes[] = { ".yaml", ".yml" };

int definition_find(const Settings *settings, const char *name, char **ret_path, char **ret_shadowed) {
        const char *const directories[] = { settings->definitions_dir, settings->root_dir };
        _cleanup_free_ char *found = NULL, *shadowed = NULL;

        if (image_name_problem(name))
                return -EINVAL;
        for (size_t d = 0; d < ELEMENTSOF(directories); d++)
                for (size_t s = 0; s < ELEMENTSOF(suffixes); s++) {
                        _cleanup_free_ char *path = NULL;

                        if ((found && !ret_shadowed) || shadowed)
                                break;
                        if (string_printf(&path, "%s/%s%s", directories[d], name, suffixes[s]) < 0)
                                return -ENOMEM;
                        /* A dangling symlink counts as existing: reading it will report what is wrong. */
                        if (!exists_at(AT_FDCWD, path))
                                continue;
                        *(found ? &shadowed : &found) = TAKE_PTR(path);
                }
        if (!found)
                return -ENOENT;
        *ret_path = TAKE_PTR(found);
        if (ret_shadowed)
                *ret_shadowed = TAKE_PTR(shadowed);
        return 0;
}

int definition_load(const char *path, const char *name, Definition **ret, Problem *reterr_problem) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = config_data_read("definition", path, &data, &size, reterr_problem);
        if (r < 0)
                return r;
        r = definition_parse(data, size, path, name, ret, reterr_problem);
        if (r < 0)
                reterr_problem->file = path;
        return r;
}

int definition_apply(const Definition *definition, Settings *settings) {
        for (size_t i = 0; settings_info(i); i++) {
                if (!definition->settings_given[i])
                        continue;
                int r = setting_copy(&definition->settings, settings, settings_info(i));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Finds out which image @file, a name in a directory, defines. 0 with the image's name; -ENOENT: it is no definition;
 * -EINVAL: a definition whose name no image can have. */
static int defined_name(const char *file, char **ret) {
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                const char *end = endswith(file, suffixes[i]);
                if (!end || file[0] == '.')
                        continue;
                char *name = strndup(file, (size_t) (end - file));
                if (!name)
                        return -ENOMEM;
                if (image_name_problem(name)) {
                        free(name);
                        return -EINVAL;
                }
                *ret = name;
                return 0;
        }
        return -ENOENT;
}

static int add_entry(const char *directory, const char *entry, char ***names, char ***unusable) {
        _cleanup_free_ char *name = NULL;

        switch (defined_name(entry, &name)) {
        case 0:
                return strv_extend(names, name);
        case -EINVAL:
                return strv_extendf(unusable, "%s/%s", directory, entry);
        case -ENOMEM:
                return -ENOMEM;
        default: /* no definition */
                return 0;
        }
}

static int list_directory(const char *directory, char ***names, char ***unusable) {
        _cleanup_closedir_ DIR *dir = opendir(directory);

        if (!dir)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        for (;;) {
                const struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                int r = add_entry(directory, entry->d_name, names, unusable);
                if (r < 0)
                        return r;
        }
}

int definition_list(const Settings *settings, char ***ret_names, char ***ret_unusable) {
        _cleanup_strv_ char **names = NULL, **unusable = NULL;

        int r = list_directory(settings->definitions_dir, &names, &unusable);
        if (r < 0)
                return r;
        if (!streq(settings->definitions_dir, settings->root_dir))
                r = list_directory(settings->root_dir, &names, &unusable);
        if (r < 0)
                return r;
        strv_sort_unique(names);
        strv_sort_unique(unusable);
        *ret_names = TAKE_PTR(names);
        if (ret_unusable)
                *ret_unusable = TAKE_PTR(unusable);
        return 0;
}
