/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "config/settings.h"

#define CONFIG_FILE_DEFAULT "/etc/nspawn-runner.yaml"

/* Reads the YAML file @path, one mapping of settings to values, over @settings. An empty file is allowed. Returns 0;
 * -EINVAL: the file's content is wrong; -EFBIG, -EISDIR, or another -errno from opening or reading it. On failure
 * @reterr_problem, which must be zeroed before, says what is wrong and where, and refers to @path; @settings may be
 * half changed. */
int config_file_read(const char *path, Settings *settings, Problem *reterr_problem);

/* The same; @ret_lines gets, for each row of the table of settings, the line in which the file sets it, or 0. */
int config_file_read_lines(const char *path, Settings *settings, unsigned ret_lines[static SETTINGS_MAX],
                           Problem *reterr_problem);

/* The same from memory, for tests and fuzzers. */
int config_parse(const char *data, size_t size, Settings *settings, Problem *reterr_problem);
