/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"
#include "image/generation.h"
#include "image/staging.h"

/* Trees of images whose playbook or test failed: as they came from their source, before anything ran in them, so that the
 * next try need not make them again. Kept in `<root_dir>/.kept`, which has the same layout as a directory of images
 * (image/generation.h), each under the name of its image. Who calls any of this but kept_tree_collect() holds the staging
 * lock of that image in `<root_dir>`. */
#define KEPT_TREE_DIRECTORY ".kept"

/* The directory of kept trees, to be freed. 0 or -ENOMEM. */
int kept_tree_root(const char *root_dir, char **ret);

typedef struct KeptTree {
        Image *image;      /* of an earlier try, held as by generation_hold_reference(); NULL: none that would do */
        Generation *about; /* its source and digest */
        Staging aside;     /* a copy of the present try's tree */
} KeptTree;

#define KEPT_TREE_NONE                 \
        (KeptTree) {                   \
                .aside = STAGING_NONE, \
        }

/* Lets go of what is kept, and removes the copy that was set aside. */
void kept_tree_done(KeptTree *kept);

/* Looks for the tree of an earlier try: not one that is too old, or that came from another source than @definition has
 * now. 0, with or without one, or -errno. */
int kept_tree_find(const char *root_dir, const Definition *definition, KeptTree *kept);

/* Makes a copy of the tree @tree_fd that image @name is being made of. 0 or -errno. */
int kept_tree_set_aside(const char *root_dir, const char *name, int tree_fd, int cancel_fd, KeptTree *kept);

/* Keeps it, described by @about, instead of one that was kept before; without such a copy, -ENOENT. 0 or -errno. */
int kept_tree_keep(KeptTree *kept, const Generation *about);

/* Image @name is there: removes all that was kept for it. 0 or -errno. */
int kept_tree_forget(const char *root_dir, const char *name, KeptTree *kept);

/* Removes those that no definition wants any more, or that are a week old. With @dry_run only looks. Appends the names of
 * the images to @names. 0, or the first -errno with the others removed. */
int kept_tree_collect(const Settings *settings, bool dry_run, char ***names);
