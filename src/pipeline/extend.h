/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/context.h"

/* Replaces each "extends" of the top level by what it means: the bases, from left to right, and the job over them. 0
 * with a new mapping, or -EINVAL with problems noted. */
int extend_all(Context *context, const Value *config, const Value **ret);

/* Replaces each !reference by what it refers to. As above. */
int reference_resolve_all(Context *context, const Value *config, const Value **ret);
