/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "job/spec.h"

/* Which image a job gets. */
typedef enum ImageSource {
        IMAGE_FORCED,     /* by the administrator: prepare's argument */
        IMAGE_OF_JOB,     /* `image:` of the job */
        IMAGE_OF_SERVICE, /* `services:` of the job */
        IMAGE_DEFAULT,    /* --default-image, or default_image of the configuration */
} ImageSource;

typedef struct ImageChoice {
        const char *name; /* NULL: nobody names one; belongs to the job, the settings, or the caller */
        ImageSource source;
        char *const *pull_policies; /* what the job says about fetching it, or NULL; belongs to the job */
        bool of_this_host;          /* not of a registry, whatever default_registry is */
} ImageChoice;

/* @forced and @fallback are prepare's argument and option, or NULL. */
ImageChoice image_choice_make(const Settings *settings, const JobSpec *job, const char *forced, const char *fallback);

/* May a job use image @name? What the administrator named is not asked about. */
bool image_choice_is_allowed(const Settings *settings, const ImageChoice *choice);

/* May a job choose an image whose definition makes its root the host's (`private_users: no`, which @settings do not say)?
 * Only if allowed_images, or allowed_services, has its very name @name: no pattern was written with that in mind. */
bool image_choice_host_root_allowed(const Settings *settings, ImageSource source, const char *name);
