/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/value.h"

/* What a plain scalar means in YAML 1.1, as read by Ruby's Psych, which GitLab uses: "yes" is true, "010" is 8, "1:30"
 * is 5400, and "1e3" is a text. */

typedef enum ScalarOutcome {
        SCALAR_OK = 0,
        SCALAR_IS_DATE = 1, /* GitLab refuses unquoted dates and times; nothing is stored */
} ScalarOutcome;

/* Sets type and content of @value. A string is @text itself, or a part of it. Integers beyond 64 bits stay texts. */
ScalarOutcome scalar_read(const char *text, Value *value);
