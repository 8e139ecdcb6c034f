/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "image/image.h"

/* Uploads images to registries and writes them into files. `<root_dir>/.pushed/NAME` has what was last pushed of image
 * NAME (the compressed layers and a list of files), so that the next push only adds what changed. A process that pushes
 * holds the lock on that directory. The directory may be removed at any time while it is not locked: then the next push
 * sends everything. */
#define PUSHED_DIRECTORY ".pushed"

typedef struct ImagePush {
        const char *root_dir;
        const Image *image; /* held */
        const Listener *listener;
} ImagePush;

/* Pushes the image to its registry, as @reference. 0; > 0: a program failed and printed the reason, which on_line
 * passed on; -EBUSY: another process is pushing this image; -ECANCELED; or another -errno. @reterr_problem has a
 * sentence where the errno does not say everything. */
int push_image(const ImagePush *push, const char *reference, Problem *reterr_problem);

/* A kind of file to export to, found by the ending of its name; NULL: the name has none of the endings below. */
typedef struct ExportKind ExportKind;
const ExportKind *export_kind(const char *file);
/* All endings, for messages. */
#define EXPORT_ENDINGS ".tar.zst, .tar.gz, .tar.xz, .tar or .oci.tar"

/* Writes the image into @file, which must not exist and appears only when it is complete: an archive of the tree or,
 * for .oci.tar, an OCI image. -EEXIST: @file exists; otherwise as push_image(). */
int export_image(const ImagePush *push, const char *file, Problem *reterr_problem);

/* Removes what is kept of images for their next push, except what a process is using; without @all, only of images that
 * are gone; and what interrupted exports left. With @dry_run it only looks. Appends the names of the images to @names.
 * Returns 0, or the first -errno after it removed the others. */
int pushed_collect(const char *root_dir, bool all, bool dry_run, char ***names);
