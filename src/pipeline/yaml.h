/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/problem.h"

/* GitLab's limits for one file. A value that aliases repeat counts each time. */
#define YAML_DEPTH_MAX 100
#define YAML_EXPANDED_BYTES_MAX ((size_t) 2 * 1024 * 1024)

/* Reads the first document of @text, which begins at @line and @column of @file (both from 1). @file must live as long
 * as the value. Returns 0 with the value in *ret, NULL if there is no document; or -EINVAL with problems noted. */
int yaml_load(Problems *problems, const char *file, unsigned line, unsigned column, const char *text, size_t size,
              const Value **ret);
