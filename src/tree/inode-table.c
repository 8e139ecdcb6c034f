/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A hash table of files that have several links. copy-tree.c uses it to make the same links again, walk.c to visit each
 * file once. It must open no files: callers pass device and inode. Callers that use one table in several threads must
 * lock it themselves. */

#include "tree/inode-table.h"

#include "base/string.h"

#define ALLOCATED_FIRST ((size_t) 1024)

struct InodeEntry {
        InodeEntry *next;
        dev_t device;
        ino_t inode;
        char text[];
};

static size_t slot_of(size_t allocated, dev_t device, ino_t inode) {
        uint64_t key = ((uint64_t) inode ^ (uint64_t) device << 40) * UINT64_C(0x9e3779b97f4a7c15);

        return (size_t) (key >> 32) & (allocated - 1);
}

static int grow(InodeTable *table) {
        size_t allocated = MAX(table->allocated * 2, ALLOCATED_FIRST);

        if (table->n < table->allocated)
                return 0;
        InodeEntry **entries = calloc(allocated, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        for (size_t i = 0; i < table->allocated; i++)
                for (InodeEntry *entry = table->entries[i], *next; entry; entry = next) {
                        size_t slot = slot_of(allocated, entry->device, entry->inode);
                        next = entry->next;
                        entry->next = entries[slot];
                        entries[slot] = entry;
                }
        free(table->entries);
        table->entries = entries;
        table->allocated = allocated;
        return 0;
}

void inode_table_done(InodeTable *table) {
        for (size_t i = 0; i < table->allocated; i++)
                for (InodeEntry *entry = table->entries[i], *next; entry; entry = next) {
                        next = entry->next;
                        free(entry);
                }
        free(table->entries);
        *table = (InodeTable){ 0 };
}

const char *inode_table_find(const InodeTable *table, const struct stat *st) {
        if (table->allocated == 0)
                return NULL;
        const InodeEntry *entry = table->entries[slot_of(table->allocated, st->st_dev, st->st_ino)];
        for (; entry; entry = entry->next)
                if (entry->inode == st->st_ino && entry->device == st->st_dev)
                        return entry->text;
        return NULL;
}

int inode_table_add(InodeTable *table, const struct stat *st, const char *text) {
        size_t size = strlen(text) + 1;

        int r = grow(table);
        if (r < 0)
                return r;
        InodeEntry *entry = malloc(sizeof(InodeEntry) + size);
        if (!entry)
                return -ENOMEM;
        entry->device = st->st_dev;
        entry->inode = st->st_ino;
        memcpy(entry->text, text, size);
        size_t slot = slot_of(table->allocated, st->st_dev, st->st_ino);
        entry->next = table->entries[slot];
        table->entries[slot] = entry;
        table->n++;
        return 0;
}
