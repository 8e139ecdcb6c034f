/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/shape.h"

/* Shapes that jobs, rules and defaults have in common. */
extern const Shape shape_start_in;       /* a duration of at most a week */
extern const Shape shape_timeout;        /* a duration */
extern const Shape shape_expire_in;      /* a duration or "never" */
extern const Shape shape_script;         /* a text, or lists of texts */
extern const Shape shape_commands;       /* the same, but at least one */
extern const Shape shape_job_variables;  /* names and values */
extern const Shape shape_root_variables; /* the same, with descriptions and options */
extern const Shape shape_auto_cancel;
extern const Shape shape_regex; /* "/.../" */
