/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What the manifest of an image, which is fetched first, says about it (OCI image specification, image-spec/manifest.md
 * and image-index.md; Docker's version 2, schema 2, has the same members). */
typedef struct OciManifest {
        uint64_t layers_bytes; /* sum of the layers, as they are fetched: compressed */
        char *digest;          /* of a list: the digest of the manifest for the architecture asked for, while the layers
                                * are not known yet; else NULL */
} OciManifest;

void oci_manifest_done(OciManifest *manifest);
#define _cleanup_oci_manifest_ _cleanup_(oci_manifest_done)

/* Reads the JSON text of a manifest, or of a list. @architecture is as Go calls it, such as amd64. 0; -ENOMEM; -ENOENT for a
 * list without that architecture; or -EBADMSG for any other text. */
int oci_manifest_parse(const char *text, const char *architecture, OciManifest *ret);

/* This host's architecture as Go calls it; NULL: not known. Static string. */
const char *oci_architecture(void);
