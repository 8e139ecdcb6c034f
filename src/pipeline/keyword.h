/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* The keywords of jobs, with the values that GitLab allows. */

typedef enum JobKind { JOB_SCRIPT, JOB_TRIGGER } JobKind;

/* Checks all keys of a job; @name is the job's. 0 or -EINVAL with problems noted. */
int keyword_check_job(Context *context, const char *name, const Value *job, JobKind kind);

/* Does GitLab Pages publish what the job leaves: by "pages", or by its name? */
bool keyword_is_of_pages(const char *name, const Value *job);

/* Checks the values of "default:" (or of the top level, which may have some of the keywords in old files). Notes warnings
 * of those that no job gets. 0 or -EINVAL with problems noted. */
int keyword_check_default(Context *context, const Value *defaults);

/* Returns name @i of the keywords that "default:" can set; NULL behind the last. */
const char *keyword_default(size_t i);
/* Do jobs get the keyword @name from there? */
bool keyword_is_inherited(const char *name);
/* Can the top level set keyword @name, too? */
bool keyword_is_global(const char *name);
int keyword_check_global(Context *context, const char *name, const Value *value);
