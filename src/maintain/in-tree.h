/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "definition/definition.h"

/* What to run, in containers, in an image's tree before it is published. */
typedef struct InTree {
        const Settings *settings; /* of the image */
        const Definition *definition;
        const char *tree;         /* absolute path; nobody else uses the tree */
        bool upgrade;             /* bring its packages up to date */
        char *const *environment; /* that the image gives its programs; NULL: nothing */
        const char *user;         /* that the test runs as; NULL: root */
        const char *working_dir;  /* where the test starts; NULL: the user's home */
        const Listener *listener;
} InTree;

/* Upgrades packages and runs the playbook, if @in_tree and the definition ask for it. Sets *ret_changed if that changed
 * the tree. Returns 0, or -errno; @reterr_problem then has a sentence unless the errno says everything. When this
 * returns, nothing runs any more; after a failure the tree may be half changed. */
int in_tree_update(const InTree *in_tree, bool *ret_changed, Problem *reterr_problem);

/* Runs the definition's test in a container of the tree and throws its changes away. Returns as in_tree_update(); -EIO:
 * the test failed. */
int in_tree_test(const InTree *in_tree, Problem *reterr_problem);

/* Lets ansible check the playbook, if the definition has one, before there is a tree. @work, open as @work_fd, is a
 * directory for temporary files; no file is left in it. Uses only the definition and the listener of @in_tree. Returns
 * as in_tree_update(); -EIO: the playbook cannot be used. */
int in_tree_check(const InTree *in_tree, const char *work, int work_fd, Problem *reterr_problem);
