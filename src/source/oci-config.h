/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/image-config.h"

/* Reads the JSON text of a configuration. Returns 0 with @ret for image_config_done(); -ENOMEM; -EBADMSG: the text is
 * no such configuration; or -E2BIG: its environment or command is too large for a message to the agent. */
int oci_config_parse(const char *data, size_t size, ImageConfig *ret);

/* Reads the configuration of the only image in the OCI layout @layout_fd. The layout is for one architecture. Returns
 * as oci_config_parse(), or another -errno. */
int oci_layout_config(int layout_fd, ImageConfig *ret);
