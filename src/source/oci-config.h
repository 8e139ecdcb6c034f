/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the configuration of an OCI image says about programs that run in it. Entrypoint, command and the rest mean
 * nothing to jobs. */
typedef struct OciConfig {
        char **env;        /* NAME=VALUE; NULL: none */
        char *working_dir; /* absolute; NULL: none */
        char *user;        /* USER[:GROUP], names or numbers; NULL: none */
} OciConfig;

void oci_config_done(OciConfig *config);
#define _cleanup_oci_config_ _cleanup_(oci_config_done)

/* Reads the JSON text of a configuration. Returns 0; -ENOMEM; -EBADMSG when it is none; or -E2BIG for an environment that
 * is too large to be given to every step. */
int oci_config_parse(const char *data, size_t size, OciConfig *ret);

/* Reads the configuration of the only image in the OCI layout @layout_fd, which is for one
 * architecture. As oci_config_parse(); or another -errno. */
int oci_layout_config(int layout_fd, OciConfig *ret);
