/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides whether the binds of one image can be used beside those of all other images. `prepare` and `chroot-run`
 * ask this before they start a container, `doctor` for each image. It must look only at definitions, not at running
 * jobs. */

#include <stdio.h>

#include "base/string.h"
#include "config/binds.h"
#include "definition/definition.h"

static bool has_binds(const Settings *settings) {
        return strv_length(settings->bind) + strv_length(settings->bind_ro) > 0;
}

int definition_settings(const Settings *configuration, const char *name, Settings *ret) {
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_free_ char *path = NULL;
        Problem ignored;

        int r = definition_find(configuration, name, &path, NULL);
        if (r < 0)
                return r;
        r = definition_load(path, name, &definition, &ignored);
        if (r < 0)
                return r;
        r = settings_copy(configuration, ret);
        if (r < 0)
                return r;
        r = definition_apply(definition, ret);
        if (r < 0)
                settings_done(ret);
        return r;
}

/* Does @r say something of the definition itself, with which no job of its image starts? Else we know nothing of its binds. */
static bool is_unusable(int r) {
        return r == -ENOENT || r == -EINVAL || r == -EFBIG || r == -EISDIR || r == -ENOTSUP || r == -ELOOP;
}

static int check_with(const Settings *configuration, const char *name, const Settings *settings,
                      Problem *reterr_problem) {
        _cleanup_(settings_done) Settings theirs = { 0 };
        _cleanup_free_ char *whose = NULL;

        int r = definition_settings(configuration, name, &theirs);
        if (r < 0)
                return is_unusable(r) ? 0 : r;
        r = string_printf(&whose, "jobs of image '%s'", name);
        return r < 0 ? r : binds_check_between(settings, &theirs, whose, reterr_problem);
}

int definition_check_binds(const Settings *configuration, const char *name, const Settings *settings,
                           Problem *reterr_problem) {
        _cleanup_strv_ char **names = NULL;

        if (!has_binds(settings))
                return 0;
        int r = binds_check_between(settings, configuration, "jobs of other images", reterr_problem);
        if (r < 0)
                return r;
        r = definition_list(configuration, &names, NULL);
        if (r < 0)
                return r;
        for (char **other = names; other && *other; other++) {
                if (streq(*other, name))
                        continue;
                r = check_with(configuration, *other, settings, reterr_problem);
                if (r < 0)
                        return r;
        }
        return 0;
}
