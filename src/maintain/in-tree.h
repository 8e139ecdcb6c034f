/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "definition/definition.h"

/* What to run in an image's tree before it is published, in containers. */
typedef struct InTree {
        const Settings *settings; /* of the image */
        const Definition *definition;
        const char *tree;         /* absolute; nobody else uses it */
        bool upgrade;             /* bring its packages up to date */
        char *const *environment; /* for what runs in it, as the image says; NULL: nothing */
        const char *user;         /* of the test; NULL: root */
        const char *working_dir;  /* where the test starts; NULL: home */
        const Listener *listener;
} InTree;

/* Upgrades packages and runs the playbook, if @in_tree and the definition say so. Sets *ret_changed if that changed the
 * tree. Returns 0, or -errno with @reterr_problem saying in a sentence what went wrong, unless the error says it all.
 * Nothing runs any more. */
int in_tree_update(const InTree *in_tree, bool *ret_changed, Problem *reterr_problem);

/* Runs the definition's test in a container of the tree whose changes are thrown away: as above, -EIO for a test that
 * failed. */
int in_tree_test(const InTree *in_tree, Problem *reterr_problem);

/* Lets ansible check the playbook, if there is one, before there is a tree. @work, open as @work_fd, is a directory for
 * temporary files; none is left. As above, -EIO for a playbook that cannot be used. Only definition and listener of
 * @in_tree are used. */
int in_tree_check(const InTree *in_tree, const char *work, int work_fd, Problem *reterr_problem);
