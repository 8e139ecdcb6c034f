/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Appends http_proxy, https_proxy and no_proxy to @environment: this process's own, or else those of the host's apt
 * (apt.conf(5), Acquire::http::Proxy). 0, or -ENOMEM after some were appended. */
int proxy_environment(char ***environment);
