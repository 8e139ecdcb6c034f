/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "image/image.h"

/* Takes images to registries and into files. `<root_dir>/.pushed/NAME` has what was pushed of image NAME last (the
 * compressed layers, and a list of its files), so that the next push only adds what changed. The lock on that directory is
 * held by the process that pushes. What is there may be removed at any time: then the next push sends all. */
#define PUSHED_DIRECTORY ".pushed"

typedef struct ImagePush {
        const char *root_dir;
        const Image *image; /* held */
        const Listener *listener;
} ImagePush;

/* To the registry, as @reference. 0; > 0: a program failed, and said why by on_line; -EBUSY: another process pushes this
 * image; -ECANCELED; or another -errno. @reterr_problem has a sentence where the error alone does not say it. */
int push_image(const ImagePush *push, const char *reference, Problem *reterr_problem);

/* What kind of file has that name; NULL: it has none of the endings. */
typedef struct ExportKind ExportKind;
const ExportKind *export_kind(const char *file);
/* All endings, for messages. */
#define EXPORT_ENDINGS ".tar.zst, .tar.gz, .tar.xz, .tar or .oci.tar"

/* Into @file, which must not exist and appears when it is complete: an archive of the tree, or with .oci.tar an OCI image.
 * -EEXIST; else as above. */
int export_image(const ImagePush *push, const char *file, Problem *reterr_problem);

/* Removes what is kept of images for their next push, but nothing that a process works with; with @dry_run only looks.
 * Appends the names of the images. 0 or the first -errno. */
int pushed_collect(const char *root_dir, bool dry_run, char ***names);
