/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Appends http_proxy, https_proxy and no_proxy to @environment, as far as this process has them, else as the host's apt
 * has them (apt.conf(5), Acquire::http::Proxy). 0, or -ENOMEM with *environment longer or not. */
int proxy_environment(char ***environment);
