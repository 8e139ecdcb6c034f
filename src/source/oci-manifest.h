/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What an image's manifest, which is fetched before the image, says (OCI image specification, image-spec/manifest.md
 * and image-index.md; Docker's version 2, schema 2, has the same members). */
typedef struct OciManifest {
        uint64_t layers_bytes; /* sum of the layers, as they are fetched: compressed */
        char *digest;          /* of a list: the digest of the manifest for the architecture asked for, while the layers
                                * are not known yet; else NULL */
} OciManifest;

void oci_manifest_done(OciManifest *manifest);
#define _cleanup_oci_manifest_ _cleanup_(oci_manifest_done)

/* Reads the JSON text of a manifest, or of a list of manifests. @architecture is Go's name, such as amd64. 0; -ENOMEM;
 * -ENOENT: the list does not have that architecture; or -EBADMSG: the text is neither. */
int oci_manifest_parse(const char *text, const char *architecture, OciManifest *ret);

/* Returns Go's name of this host's architecture, a static string; NULL: it is not known. */
const char *oci_architecture(void);
