/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"

/* What a service runs: its image's configuration with what the job says over it, as Docker puts the two together. */

/* At most this many ports, the lowest, are waited for: the number is GitLab Runner's. */
#define SERVICE_PORTS_MAX 20

/* What is known of a service's image. Everything is the caller's. */
typedef struct ServiceImage {
        bool local; /* an image of this host, and not one of a registry */
        bool has_init;
        char *const *entrypoint, *const *command; /* of an OCI image's configuration, or NULL */
        char *const *environment;                 /* "NAME=VALUE"s */
        char *const *ports;                       /* TCP ports, decimal */
        const char *user, *working_dir;
        char *const *definition_command, *const *definition_ports; /* of a local image's definition, or NULL */
} ServiceImage;

typedef struct ServiceStart {
        char **argv; /* NULL: the image's systemd is booted, to its default target */
        char **environment;
        char **ports;                   /* that are waited for, ascending; NULL: none is known */
        const char *user, *working_dir; /* of the image or the job */
} ServiceStart;

void service_start_done(ServiceStart *start);
#define _cleanup_service_start_ _cleanup_(service_start_done)

/* 0; -ENOEXEC: neither the job nor the image nor its definition says what to run, and the image has no systemd; or
 * -ENOMEM. */
int service_start_make(const JobService *service, const ServiceImage *image, ServiceStart *ret);
