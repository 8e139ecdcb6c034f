/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* References of images in registries, as jobs name them: HOST[:PORT]/PATH[:TAG][@DIGEST], in the grammar of the OCI
 * distribution specification. The registry has to be named: what a word without one means differs from host to host. */

/* Why @text is none: NULL when it is. What it is not is a transport of skopeo's, an option, or a path. The text completes
 * "'X' is no image of a registry: it ...". */
const char *image_reference_problem(const char *text);

/* Whether @text names an image of a registry, and cannot name one in root_dir. */
bool image_reference_is(const char *text);

/* The reference in full, with ":latest" where it has neither tag nor digest, as a name that an image can have: '/'
 * becomes '%', which is in no reference. To be freed; NULL when memory ran out. */
char *image_reference_to_name(const char *reference);

/* The opposite, likewise. */
char *image_reference_from_name(const char *name);

/* How many bytes of @reference name the repository: all before tag and digest. Works for what skopeo calls
 * docker://REFERENCE, too. */
size_t image_reference_repository_length(const char *reference);
