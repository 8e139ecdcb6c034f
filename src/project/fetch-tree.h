/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "project/fetch-run.h"

/* Finds the tree that @root means, fetches it first if it may. 0 with *ret, which belongs to @fetch; or as
 * PipelineProvider.read. */
int fetch_tree_open(Fetch *fetch, const PipelineRoot *root, FetchTree **ret);
int fetch_tree_read(Fetch *fetch, const FetchTree *tree, const char *path, char **ret_data, size_t *ret_size);
int fetch_tree_list(Fetch *fetch, FetchTree *tree, char *const **ret_paths);
