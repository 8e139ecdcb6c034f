/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the configuration of an OCI image says, as one value: sources (source/) fill it in, generations (image/) keep
 * it, plans use it. It must not know where the values come from, and checks nothing: the reader has checked them. */

#include "config/image-config.h"

#include "base/string.h"

void image_config_done(ImageConfig *config) {
        strv_free(config->env);
        free(config->working_dir);
        free(config->user);
        strv_free(config->entrypoint);
        strv_free(config->command);
        strv_free(config->ports);
        strv_free(config->volumes);
        *config = (ImageConfig){ 0 };
}

int image_config_copy(const ImageConfig *from, ImageConfig *to) {
        const struct {
                char **from, ***to;
        } lists[] = {
                { from->env, &to->env },     { from->entrypoint, &to->entrypoint }, { from->command, &to->command },
                { from->ports, &to->ports }, { from->volumes, &to->volumes },
        };

        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                int r = strv_copy(lists[i].from, lists[i].to);
                if (r < 0)
                        return r;
        }
        int r = string_replace(&to->working_dir, from->working_dir);
        return r < 0 ? r : string_replace(&to->user, from->user);
}
