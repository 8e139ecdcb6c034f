/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "container/machine.h"
#include "image/image.h"

/* What the stages that GitLab Runner writes by itself get in the container of a job: the helper image, and programs of
 * the host. */
typedef struct StagePrograms {
        const Settings *settings;  /* the configuration's */
        const Image *image;        /* of the job */
        const char *default_image; /* of jobs that name none; or NULL */
        int signal_fd;             /* ends fetching an image */
} StagePrograms;

/* Adds helper image and programs to the plan of the container, whose settings decide. *ret_helper holds the helper
 * image, and must be freed when the container has been started; NULL: there is none. Logs what is wrong. 0 or -errno. */
int stage_programs_plan(const StagePrograms *programs, Machine *machine, Image **ret_helper);
