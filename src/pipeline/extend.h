/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* Resolves each "extends" of the top level: merges the bases, from left to right, and the job over them. 0 with a new
 * mapping in *ret, or -EINVAL with problems noted. */
int extend_all(Context *context, const Value *config, const Value **ret);

/* Replaces each !reference by the value that it refers to. Returns as extend_all(). */
int reference_resolve_all(Context *context, const Value *config, const Value **ret);
