/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* The keywords of jobs, with what GitLab allows as their values. */

typedef enum JobKind { JOB_SCRIPT, JOB_TRIGGER } JobKind;

/* Checks all keys of a job; @name is the job's. 0 or -EINVAL with problems noted. */
int keyword_check_job(Context *context, const char *name, const Value *job, JobKind kind);

/* Checks one value of "default:" (or of the top level, where some are allowed for old files). 0 or -EINVAL. */
int keyword_check_default(Context *context, const Value *defaults);

/* Name @i of the keywords that "default:" can set, NULL behind the last. */
const char *keyword_default(size_t i);
/* True if the top level can set it, too. */
bool keyword_is_global(const char *name);
int keyword_check_global(Context *context, const char *name, const Value *value);
