/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* Which rule of a list applies. */

/* What rules are asked about: the variables of a job or of the pipeline. */
typedef struct RuleScope {
        const Variables *variables; /* as "if" sees them, not expanded */
        const Variables *expanded;  /* as globs see them; NULL until one was needed */
        const char *root;           /* whose tree "exists" means; NULL: the project's */
} RuleScope;

/* The first rule of @rules (a flat list of mappings that were checked) that matches, in *ret, or NULL when none does;
 * and its place in the list. @trace (may be NULL) gets a line for each rule that was looked at. 0; or -EINVAL with a
 * problem noted where GitLab would refuse the pipeline. */
int rules_decide(Context *context, const Value *rules, RuleScope *scope, Text *trace, const Value **ret,
                 size_t *ret_index);

/* Whether "rules" of an include let it be included: 1, 0, or -EINVAL with problems noted. NULL: there are none. */
int rule_include(Context *context, const Value *rules, const char *root);
