/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"
#include "pipeline/rule.h"

/* Do @only and @except let a job into the pipeline? @only NULL stands for GitLab's default, [branches, tags], unless
 * @no_default. Returns 1 or 0; or -EINVAL with a problem noted. */
int policy_includes(Context *context, const Value *only, const Value *except, bool no_default, RuleScope *scope);
