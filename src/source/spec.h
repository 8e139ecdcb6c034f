/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where the tree of an image is to come from, as a definition or a command's options say it. */

typedef enum SourceKind {
        SOURCE_NONE, /* nobody says: the image is made by hand */
        SOURCE_SUITE,
        SOURCE_COMMAND,
        SOURCE_OCI,
        SOURCE_TARBALL,
        SOURCE_FROM,
} SourceKind;

/* Whoever made it owns the strings. */
typedef struct SourceSpec {
        SourceKind kind;

        /* SOURCE_SUITE; all but suite may be NULL, for what the builder takes by itself */
        char *suite, *mirror, *variant;
        char *keyring; /* path */
        char **components;
        char **packages; /* added to those that every image has */

        /* SOURCE_COMMAND: an argv; of one string: "/bin/sh", "-e", "-c", string. */
        char **create_command;
        char *directory; /* where it runs, so that "./script" is one beside the definition; NULL: anywhere */

        /* SOURCE_OCI: with a transport as skopeo writes them (docker://..., oci:/path:tag, ...) */
        char *oci;

        /* SOURCE_TARBALL: a http(s) URL, which then comes with sha256 (64 lower case digits), or a path (then sha256 may be
         * NULL) */
        char *tarball, *sha256;

        /* SOURCE_FROM: name of another image */
        char *from;
} SourceSpec;
