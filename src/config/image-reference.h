/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* References of images in registries, as jobs name them: HOST[:PORT]/PATH[:TAG][@DIGEST], in the grammar of the OCI
 * distribution specification. They name the registry: what is written without one is completed first. */

/* Returns why @text is not such a reference; NULL: it is one. Transports of skopeo, options and paths are refused. The
 * text is static and completes "'X' is no image of a registry: it ...". */
const char *image_reference_problem(const char *text);

/* Is @text such a reference? No image in root_dir can have that name. */
bool image_reference_is(const char *text);

/* Is @text a registry, HOST[:PORT], as references begin with? The host has a dot in it, or a port, or is localhost. */
bool image_reference_registry_is(const char *text);

/* Makes the reference that @name, which names no registry, has in @registry, as Docker does: of Docker Hub, docker.io, a
 * name without '/' is one of the images in library/. To be freed; NULL when memory ran out. It need not be a reference:
 * see image_reference_problem(). */
char *image_reference_complete(const char *registry, const char *name);

/* Makes the name of an image from the full reference, with ":latest" if it has neither tag nor digest. '/' becomes '%',
 * which no reference has. A reference that is longer than names of images may be becomes its beginning and a hash. To be freed;
 * NULL when memory ran out. */
char *image_reference_to_name(const char *reference);

/* Is @name one with a hash? */
bool image_reference_is_hashed(const char *name);

/* Makes the reference from such a name; one with a hash stays as it is: only the record of the image tells its reference
 * (image_cache_reference()). To be freed; NULL when memory ran out. */
char *image_reference_from_name(const char *name);

/* Returns how many bytes of @reference, or of docker://REFERENCE, come before tag and digest. */
size_t image_reference_repository_length(const char *reference);
