/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Makes a configuration for curl (curl(1), --config) that names @url, whatever characters it has. *ret is to be freed. 0 or
 * -ENOMEM. */
int curl_config_url(const char *url, char **ret);
