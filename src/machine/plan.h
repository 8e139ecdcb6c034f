/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "image/image.h"
#include "job/spec.h"
#include "machine/state.h"

/* Which image a job gets. */
typedef enum ImageSource {
        IMAGE_FORCED,  /* by the administrator: prepare's argument */
        IMAGE_OF_JOB,  /* `image:` of the job */
        IMAGE_DEFAULT, /* --default-image, or default_image of the configuration */
} ImageSource;

typedef struct ImageChoice {
        const char *name; /* NULL: nobody names one; belongs to the job, the settings, or the caller */
        ImageSource source;
} ImageChoice;

/* @forced and @fallback are prepare's argument and option, or NULL. */
ImageChoice plan_choose_image(const Settings *settings, const JobSpec *job, const char *forced, const char *fallback);

/* May a job use image @name? What the administrator named is not asked about. */
bool plan_image_allowed(const Settings *settings, const ImageChoice *choice);

/* May a job choose an image whose definition makes its root the host's (`private_users: no`, which @settings do not say)?
 * Only if allowed_images has its very name @name: no pattern was written with that in mind. */
bool plan_host_root_allowed(const Settings *settings, ImageSource source, const char *name);

/* Adds the filter of system calls to the machine, if @settings want one; it is compiled by the first after the host's
 * boot. 0; -EINVAL with *ret_unknown set to what system_call_filter names and does not exist; -ENOENT: libseccomp or
 * systemd-analyze are missing; or -errno. */
int plan_seccomp(const Settings *settings, const Image *image, Machine *machine, const char **ret_unknown);

/* Do the programs of @image make sockets with socketcall(2) alone, as those of 32-bit x86 do, without being let? The
 * administrator's own images of that kind are; those of registries are not, since a job could choose one for it. */
bool plan_lacks_sockets(const Settings *settings, const Image *image);

/* The path of the agent's binary: beside our own executable, as in the build tree, else where it is installed. 0; -EPROTO
 * when it is at neither place; or -errno. */
int plan_find_agent(char **ret);

/* The library for systemd-nspawn, preload/userns-owner.h: 0; -ENOENT when there is none, or it has a path that LD_PRELOAD
 * cannot have; or another -errno. */
int plan_find_preload(char **ret);

/* The command that carries the machine of job @id out: ourselves, with this call's directories. 0 or -errno. */
int plan_supervise_command(const Settings *settings, const char *id, char ***ret);

/* The machine of a job, complete but for the seccomp filter's path (NULL). 0, -errno, -ENOEXEC as of image_boot();
 * -ENOSYS when `storage` names no driver; -EPROTO when the agent's binary is missing. */
int plan_machine(const Settings *settings, const JobSpec *job, const JobDirectory *directory, const Image *image,
                 Machine **ret);
