/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"

/* What a job is called on this host. */

/* Why @id cannot be a job's, or NULL: letters, digits, '-' and '.', at most 40, with a letter or digit at both ends and
 * no "..": it becomes part of paths, a unit's name and a host name. */
const char *job_id_problem(const char *id);

/* The id of a job that GitLab described, "NUMBER-HASH": two GitLab servers count their jobs alike. The hash has a key,
 * which is made in @runtime_dir when missing. 0; -EBADMSG when the key's file was damaged; or -errno. */
int job_id_make(const char *runtime_dir, const JobSpec *spec, char **ret);
