/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the configuration of an OCI image says about programs that run in it: read by source/oci-config.h, kept with each
 * generation. Jobs have nothing of the entrypoint and what follows it: those are for images that run as services. */
typedef struct ImageConfig {
        char **env;        /* NAME=VALUE; NULL: none */
        char *working_dir; /* absolute; NULL: none */
        char *user;        /* USER[:GROUP], names or numbers; NULL: none */
        char **entrypoint; /* program and first arguments; NULL: none */
        char **command;    /* program, or what follows the entrypoint; NULL: none */
        char **ports;      /* TCP ports that it says it listens on, as decimal numbers; NULL: none */
        char **volumes;    /* absolute paths of directories with data of their own; NULL: none */
} ImageConfig;

/* Frees what @config owns; a zeroed one is fine. */
void image_config_done(ImageConfig *config);
#define _cleanup_image_config_ _cleanup_(image_config_done)

/* Makes @to, which must not own anything, the same as @from. 0, or -ENOMEM with some of it copied. */
int image_config_copy(const ImageConfig *from, ImageConfig *to);
