/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Why @id cannot be a job's or a machine's, or NULL: letters, digits, '-' and '.', at most 40, with a letter or digit at
 * both ends and no "..": it becomes part of paths, a unit's name and a host name. What is returned completes "it ...". */
const char *id_problem(const char *id);
