/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "config/image-config.h"

/* Makes an OCI image of a tree, and sends it to a registry or writes it into a file. */

typedef struct OciPush {
        const char *tree;   /* absolute path; nobody changes the tree meanwhile */
        const char *state;  /* directory; absolute. Empty, or as an earlier push left it: then the image is the earlier
                                   * one with one more layer, which has what changed since */
        const char *target; /* as skopeo writes it; a file must be in the directory @state */
        const ImageConfig *config;
        const Listener *listener; /* on_line gets what umoci and skopeo print */
} OciPush;

/* Makes the image and sends it to @target. Layers are compressed with zstd; layers that the registry already has are
 * not sent. Returns
 *      0
 *      > 0             exit status of a program, which printed the reason; with @reterr_problem if we understand the reason
 *      -EINVAL         with @reterr_problem: a program is missing
 *      -ECANCELED
 *      another -errno
 * and OCI_PUSH_STATE: what an earlier push left in @state cannot be used; the caller empties @state and tries again. */
int oci_push(const OciPush *push, Problem *reterr_problem);
#define OCI_PUSH_STATE 257
