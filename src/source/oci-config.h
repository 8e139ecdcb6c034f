/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the configuration of an OCI image says about programs that run in it. Jobs have nothing of the entrypoint and what
 * follows it: those are for images that run as services. */
typedef struct OciConfig {
        char **env;        /* NAME=VALUE; NULL: none */
        char *working_dir; /* absolute; NULL: none */
        char *user;        /* USER[:GROUP], names or numbers; NULL: none */
        char **entrypoint; /* program and first arguments; NULL: none */
        char **command;    /* program, or what follows the entrypoint; NULL: none */
        char **ports;      /* TCP ports that it says it listens on, as decimal numbers; NULL: none */
        char **volumes;    /* absolute paths of directories with data of their own; NULL: none */
} OciConfig;

void oci_config_done(OciConfig *config);
#define _cleanup_oci_config_ _cleanup_(oci_config_done)

/* Reads the JSON text of a configuration. Returns 0; -ENOMEM; -EBADMSG for any other text; or -E2BIG for an environment, or
 * a command, that is too large to be given to every step. */
int oci_config_parse(const char *data, size_t size, OciConfig *ret);

/* Reads the configuration of the only image in the OCI layout @layout_fd, which is for one
 * architecture. As oci_config_parse(); or another -errno. */
int oci_layout_config(int layout_fd, OciConfig *ret);
