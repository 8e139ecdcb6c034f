/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/stat.h>

#include "base/macro.h"

/* Files with several links, by device and inode, each with a text. */
typedef struct InodeEntry InodeEntry;

typedef struct InodeTable {
        InodeEntry **entries; /* a hash table with chains */
        size_t n, allocated;
        size_t max; /* how many tree_walk() adds; 0: TREE_COUNTED_MAX */
} InodeTable;

void inode_table_done(InodeTable *table);

/* Returns the text of the file whose state is @st; NULL: the file is not in the table. The text belongs to the
 * table. */
const char *inode_table_find(const InodeTable *table, const struct stat *st);

/* Adds the file whose state is @st, which must not be in the table, with a copy of @text. 0, or -ENOMEM with the table
 * as it was. */
int inode_table_add(InodeTable *table, const struct stat *st, const char *text);
