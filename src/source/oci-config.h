/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/image-config.h"

/* Reads the JSON text of a configuration. Returns 0; -ENOMEM; -EBADMSG for any other text; or -E2BIG for an environment, or
 * a command, that is too large to be given to every step. */
int oci_config_parse(const char *data, size_t size, ImageConfig *ret);

/* Reads the configuration of the only image in the OCI layout @layout_fd, which is for one
 * architecture. As oci_config_parse(); or another -errno. */
int oci_layout_config(int layout_fd, ImageConfig *ret);
