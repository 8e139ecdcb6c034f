/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* Which rule of a list applies. */

/* What rules are evaluated for: the variables of a job or of the pipeline. */
typedef struct RuleScope {
        const Variables *variables; /* as "if" sees them, not expanded */
        const Variables *expanded;  /* as globs see them; NULL until they are needed */
        const PipelineRoot *root;   /* the root whose tree "exists" means; NULL: the project's */
} RuleScope;

/* Finds the first rule of @rules (a flat list of mappings that were checked) that matches. *ret is the rule (NULL: none
 * matches), *ret_index its place in the list. @trace (may be NULL) gets a line for each rule that was evaluated. 0; or
 * -EINVAL with a problem noted: GitLab would refuse the pipeline. */
int rules_decide(Context *context, const Value *rules, RuleScope *scope, Text *trace, const Value **ret,
                 size_t *ret_index);

/* Does @rules (NULL: there are none) of an include let it be included? Returns 1, 0, or -EINVAL with problems noted. */
int rule_include(Context *context, const Value *rules, const PipelineRoot *root);
