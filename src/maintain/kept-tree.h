/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"
#include "image/generation.h"
#include "image/staging.h"

/* Trees of images whose playbook or test failed, as they came from their source, so that the next try need not make
 * them again. They are kept in `<root_dir>/.kept`, which is itself a directory of images (maintain/image-roots.h), under
 * the names of their images. The caller of every function but kept_tree_collect() holds the
 * image's staging lock. */

typedef struct KeptTree {
        Image *image;      /* the tree of an earlier try, held; NULL: no usable one exists */
        Generation *about; /* its source and digest */
        Staging aside;     /* the copy of the new tree that kept_tree_set_aside() made */
} KeptTree;

#define KEPT_TREE_NONE                 \
        (KeptTree) {                   \
                .aside = STAGING_NONE, \
        }

/* Releases the tree of an earlier try, and removes the copy that was set aside. */
void kept_tree_done(KeptTree *kept);

/* Looks for the tree of an earlier try. It must not be too old, and it must come from the source that @definition has
 * now. Returns 0, whether it found one or not (@kept->image); or -errno. */
int kept_tree_find(const char *root_dir, const Definition *definition, KeptTree *kept);

/* Makes a copy of @tree_fd, the new tree of image @name, so that kept_tree_keep() can keep it after a failure. When
 * @cancel_fd becomes readable, gives up with -ECANCELED. 0 or another -errno. */
int kept_tree_set_aside(const char *root_dir, const char *name, int tree_fd, int cancel_fd, KeptTree *kept);

/* Keeps the copy that was set aside, described by @about; it replaces a tree that was kept before. 0; -ENOENT: there is
 * no copy; or another -errno. */
int kept_tree_keep(KeptTree *kept, const Generation *about);

/* Removes everything that was kept for image @name, once the image has been made. 0 or -errno. */
int kept_tree_forget(const char *root_dir, const char *name, KeptTree *kept);

/* Removes the kept trees that no definition can use any more or that are a week old, or, with @all, all of them; with
 * @dry_run it only looks. Appends the names of their images to @names. Returns 0, or the first -errno after it removed
 * the others. */
int kept_tree_collect(const Settings *settings, bool all, bool dry_run, char ***names);
