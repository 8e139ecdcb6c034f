/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the configuration of an OCI image says about programs that run in it: read by source/oci-config.h, kept with
 * each generation. Jobs do not use the fields from the entrypoint on: they are for images that run as services. */
typedef struct ImageConfig {
        char **env;        /* NAME=VALUE; NULL: none */
        char *working_dir; /* absolute; NULL: none */
        char *user;        /* USER[:GROUP], names or numbers; NULL: none */
        char **entrypoint; /* program and first arguments; NULL: none */
        char **command;    /* program, or arguments behind the entrypoint; NULL: none */
        char **ports;      /* TCP ports that it says it listens on, as decimal numbers; NULL: none */
        char **volumes;    /* absolute paths of directories for data; NULL: none */
} ImageConfig;

/* Frees what @config owns; it may be zeroed. */
void image_config_done(ImageConfig *config);
#define _cleanup_image_config_ _cleanup_(image_config_done)

/* Copies @from to @to, which must not own anything before. 0, or -ENOMEM with a part copied: image_config_done() frees
 * it. */
int image_config_copy(const ImageConfig *from, ImageConfig *to);
