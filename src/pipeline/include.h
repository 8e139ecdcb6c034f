/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

#define INCLUDES_MAX 150 /* GitLab's limit of files of one configuration; a file included twice counts twice */

/* Reads the configuration's file and what it includes, and merges them: *ret is a mapping without "include". 0 or
 * -EINVAL with problems noted. */
int include_load(Context *context, const Value **ret);
