/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* These check "needs" of a job, of a job that triggers a pipeline, and of a rule. @name is how messages call the value.
 * 0 or -EINVAL with problems noted. */
int needs_check(Context *context, const Value *value, const char *name);
int needs_check_of_trigger(Context *context, const Value *value, const char *name);
int needs_check_of_rule(Context *context, const Value *value, const char *name);

/* Returns what @value, checked or a list, names, as a list without lists and nulls in it, which mean their items and nothing.
 * NULL with a problem noted: there are too many levels of lists. */
const Value *needs_flat(Context *context, const Value *value);

/* Checks "parallel:" of a job: a number, or a mapping with a matrix. Returns as needs_check(). */
int parallel_check(Context *context, const Value *value, const char *name);
