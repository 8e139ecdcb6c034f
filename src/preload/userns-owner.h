/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The library that is loaded into systemd-nspawn, and the variable that tells it which user of the host is to own the user
 * namespace. */
#define USERNS_OWNER_LIBRARY "nspawn-runner-userns.so"
#define USERNS_OWNER_VARIABLE "NSPAWN_RUNNER_USERNS_OWNER"
