/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/document.h"
#include "pipeline/regex.h"
#include "pipeline/variables.h"

/* Inputs of a file: their declarations in the header's "spec:inputs", and their values. */

/* Checks @given (a mapping or NULL; @place is where the file is included) against @spec, the mapping of declared inputs
 * (NULL: there are none), and fills in defaults. *ret is a mapping with the values of all declared inputs. 0 or -EINVAL
 * with problems noted. */
int inputs_resolve(Problems *problems, RegexCache *regexes, const Value *spec, const Value *given, Place place,
                   const Value **ret);

/* Replaces "$[[ inputs.NAME | FUNCTION ]]" in the text of @document. @component (may be NULL) has the values for
 * "component.". 0 or -EINVAL with problems noted. */
int inputs_interpolate(Problems *problems, const char *file, const Document *document, const Value *inputs,
                       const Value *component, const Variables *variables, const char **ret_text, size_t *ret_size);
