/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/variables.h"

/* What people see instead of the value of a masked variable. */
#define MASK "[MASKED]"

/* Replaces the values of all masked variables in @text by MASK. Each line of a value is looked for on its own, without
 * blanks around it, because logs are shown by lines; of several lines, those of less than 4 bytes stay. Where several values
 * would fit, the longest one is replaced. *ret is to be freed. 0 or -ENOMEM. */
int mask_text(const Variables *variables, const char *text, char **ret);

/* What an explanation may show of the value of one of the @variables: MASK if it is masked itself, else what mask_text()
 * leaves of it. In their arena. */
const char *mask_value(const Variables *variables, const Variable *variable);
