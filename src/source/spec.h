/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdbool.h>

/* Where the tree of an image comes from, as a definition or the options of a command say. */

typedef enum SourceKind {
        SOURCE_NONE, /* not known: the image is made by hand */
        SOURCE_SUITE,
        SOURCE_COMMAND,
        SOURCE_OCI,
        SOURCE_TARBALL,
        SOURCE_FROM,
} SourceKind;

/* The owner of the struct owns the strings. */
typedef struct SourceSpec {
        SourceKind kind;

        /* SOURCE_SUITE. All but suite may be NULL, for the default. */
        char *suite, *mirror, *variant;
        char *keyring; /* path */
        char **components;
        char **packages;    /* added to those that every image has, */
        bool only_packages; /* or instead of them */

        /* SOURCE_COMMAND: an argv. A command given as one text becomes "/bin/sh", "-e", "-c", TEXT. */
        char **create_command;
        char *directory; /* where it runs: the definition's directory, so that "./script" is found there; NULL:
                          * anywhere */

        /* SOURCE_OCI: with a transport as skopeo writes them (docker://..., oci:/path:tag, ...) */
        char *oci;

        /* SOURCE_TARBALL: a http(s) URL, which then comes with sha256 (64 lower case digits), or a path (then sha256 may be
         * NULL) */
        char *tarball, *sha256;

        /* SOURCE_FROM: name of another image */
        char *from;
} SourceSpec;
