/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

typedef enum RulesOf { RULES_OF_JOB, RULES_OF_WORKFLOW, RULES_OF_INCLUDE } RulesOf;

/* Checks the shape of "rules" of a job, a workflow or an include. @name is how messages call the value. Returns the
 * flat list of rules, or NULL with problems noted. */
const Value *rules_check(Context *context, const Value *rules, RulesOf of, const char *name);

/* Checks an expression, the value of key @what. 0 or -EINVAL with a problem noted. */
int expression_check(Context *context, const Value *value, const char *what);
