/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/image-common.h"

#include "base/log.h"
#include "base/string.h"
#include "image/definition.h"

void log_available_images(const Settings *settings) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *list = NULL;

        if (image_list(settings->root_dir, &names) < 0)
                return;
        for (char **name = names; name && *name; name++) {
                char *longer;

                if (string_printf(&longer, "%s%s%s", list ? list : "", list ? ", " : "", *name) < 0)
                        return;
                free(list);
                list = longer;
        }
        if (list)
                log_notice("Images in %s: %s", settings->root_dir, list);
        else
                log_notice("There are no images in %s yet: make one with 'nspawn-runner chroot-create NAME'",
                           settings->root_dir);
}

int open_image_logged(const Settings *settings, const char *name, Image **ret) {
        int r = image_open(settings->root_dir, name, ret);

        if (r >= 0)
                return 0;
        switch (r) {
        case -EINVAL:
                log_error("Image name '%.200s' %s", name, image_name_problem(name));
                return r;
        case -ENOENT:
                log_error("There is no image '%s'", name);
                break;
        case -ENODATA:
                log_error("'%s/%s' is not an image: it holds no root file system (empty, or half made)",
                          settings->root_dir, name);
                break;
        case -ENOTDIR:
                log_error("'%s/%s' is not an image: it is not a directory (symlinks are not followed)",
                          settings->root_dir, name);
                break;
        default:
                return log_error_errno(r, "Cannot open image '%s' in '%s': %m", name, settings->root_dir);
        }
        log_available_images(settings);
        return r;
}

int log_definition_problem(const char *path, int error, const ConfigProblem *problem) {
        char text[512];

        config_problem_format("definition", path, error, problem, text, sizeof(text));
        return log_full(LOG_LEVEL_ERROR, error, "%s", text);
}

int image_settings_logged(const Settings *settings, const char *name, Settings *storage, const Settings **ret) {
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_free_ char *path = NULL;
        ConfigProblem problem = { 0 };

        int r = definition_find(settings, name, &path, NULL);
        if (r == -ENOENT || r == -EINVAL) { /* a name that no definition can have */
                *ret = settings;
                return 0;
        }
        if (r < 0)
                return log_oom();
        r = definition_load(path, name, &definition, &problem);
        if (r < 0)
                return log_definition_problem(path, r, &problem);

        if (settings_copy(settings, storage) < 0)
                return log_oom();
        if (definition_apply(definition, storage) < 0) {
                settings_done(storage);
                return log_oom();
        }
        log_verbose("Settings of image '%s' come from '%s', too", name, path);
        *ret = storage;
        return 0;
}
