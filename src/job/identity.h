/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"

/* What a job is called on this host. */

/* The id of a job that GitLab described, "NUMBER-HASH": two GitLab servers count their jobs alike. The hash has a key,
 * which is made in @runtime_dir when missing. *ret is to be freed. 0; -EBADMSG when the key's file was damaged; or
 * -errno. */
int job_id_make(const char *runtime_dir, const JobSpec *spec, char **ret);
