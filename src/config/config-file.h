/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "config/settings.h"

#define CONFIG_FILE_DEFAULT "/etc/nspawn-runner.yaml"

/* Reads the YAML file @path (one mapping of setting to value) over @settings. Returns 0; -EINVAL for what the file holds;
 * -EFBIG, -EISDIR, or another -errno from opening or reading it. @reterr_problem, zero before, then says what is wrong and
 * where; it refers to @path. After a failure @settings may be half changed. An empty file is fine. */
int config_file_read(const char *path, Settings *settings, Problem *reterr_problem);

/* The same; @ret_lines gets the line in which the file has each row of the table of settings, 0: it has not. */
int config_file_read_lines(const char *path, Settings *settings, unsigned ret_lines[static SETTINGS_MAX],
                           Problem *reterr_problem);

/* The same from memory, where no file is named (tests, fuzzers). */
int config_parse(const char *data, size_t size, Settings *settings, Problem *reterr_problem);
