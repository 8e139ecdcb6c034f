/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Hands on what the configuration of an OCI image says: environment, user, directory, and what it runs as a service.
 * make.c and image-cache.c call this, so that no field gets lost between a source and a generation. */

#include "maintain/image-config.h"

#include "base/string.h"

void image_config_of_source(const SourceResult *source, Generation *about) {
        about->env = source->env;
        about->working_dir = source->working_dir;
        about->user = source->user;
        about->entrypoint = source->entrypoint;
        about->command = source->command;
        about->ports = source->ports;
        about->volumes = source->volumes;
        about->has_command = source->has_config;
}

void image_config_of_known(const Generation *known, Generation *about) {
        about->env = known->env;
        about->working_dir = known->working_dir;
        about->user = known->user;
        about->entrypoint = known->entrypoint;
        about->command = known->command;
        about->ports = known->ports;
        about->volumes = known->volumes;
        about->has_command = known->has_command;
}

int image_config_copy(const Generation *known, SourceResult *ret) {
        const struct {
                char **from, ***to;
        } lists[] = {
                { known->env, &ret->env },         { known->entrypoint, &ret->entrypoint },
                { known->command, &ret->command }, { known->ports, &ret->ports },
                { known->volumes, &ret->volumes },
        };

        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                int r = strv_copy(lists[i].from, lists[i].to);
                if (r < 0)
                        return r;
        }
        ret->has_config = known->has_command;
        int r = string_replace(&ret->working_dir, known->working_dir);
        return r < 0 ? r : string_replace(&ret->user, known->user);
}
