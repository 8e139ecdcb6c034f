/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"
#include "image/generation.h"
#include "image/staging.h"

/* Trees of images whose playbook or test failed, as they came from their source, so that the next try need not make them
 * again. They are kept in `<root_dir>/.kept`, which is a directory of images, too (image/generation.h), by the names of
 * their images. Callers of all functions but kept_tree_collect() hold the staging lock of the image in `<root_dir>`. */
#define KEPT_TREE_DIRECTORY ".kept"

/* The directory of kept trees, to be freed. 0 or -ENOMEM. */
int kept_tree_root(const char *root_dir, char **ret);

typedef struct KeptTree {
        Image *image;      /* the tree of an earlier try, held; NULL: there is none that can be used */
        Generation *about; /* its source and digest */
        Staging aside;     /* the copy of the present tree that kept_tree_set_aside() made */
} KeptTree;

#define KEPT_TREE_NONE                 \
        (KeptTree) {                   \
                .aside = STAGING_NONE, \
        }

/* Releases the tree of an earlier try, and removes the copy that was set aside. */
void kept_tree_done(KeptTree *kept);

/* Looks for the tree of an earlier try. It must not be too old, and it must come from the source that @definition has now.
 * 0, found or not; or -errno. */
int kept_tree_find(const char *root_dir, const Definition *definition, KeptTree *kept);

/* Makes a copy of the tree @tree_fd that image @name is being made of. 0 or -errno. */
int kept_tree_set_aside(const char *root_dir, const char *name, int tree_fd, int cancel_fd, KeptTree *kept);

/* Keeps that copy, described by @about; it replaces one that was kept before. 0; -ENOENT if there is no copy; or -errno. */
int kept_tree_keep(KeptTree *kept, const Generation *about);

/* Image @name has been made: removes all that was kept for it. 0 or -errno. */
int kept_tree_forget(const char *root_dir, const char *name, KeptTree *kept);

/* Removes trees that no definition can use any more, or that are a week old, or @all; with @dry_run it only looks. Appends the names
 * of their images to @names. 0, or the first -errno with the others removed. */
int kept_tree_collect(const Settings *settings, bool all, bool dry_run, char ***names);
