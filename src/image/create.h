/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/builder.h"

/* A new image, made by a builder. */
typedef struct ImageCreate {
        const char *root_dir; /* absolute; made if missing */
        const char *name;
        const BuildPlan *plan;
        int cancel_fd; /* stops and undoes everything when readable; negative: never */

        /* As in Sandbox; what the builder prints. */
        void (*on_line)(void *userdata, const char *line);
        void (*on_tick)(void *userdata);
        void *userdata;
} ImageCreate;

typedef enum CreateStep {
        CREATE_STAGING, /* making room in the image root */
        CREATE_BUILD,
        CREATE_FINISH,
        CREATE_PUBLISH,
} CreateStep;

/* Makes the image out of sight and gives it its name when it is complete. Returns
 *      0
 *      > 0             exit status of the builder, which said why
 *      -EEXIST         there is something of that name
 *      -EBUSY          it is being made by another process
 *      -ECANCELED
 *      another -errno, from @ret_step
 * Whatever is returned, nothing of the builder runs any more, and unless it is 0, nothing of the image is left, or the
 * next call and `gc` remove it. */
int image_create(const ImageCreate *create, CreateStep *ret_step);
