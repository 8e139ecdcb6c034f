/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A table of names in libc's search tree, which nobody can make slow by choosing names. For gitlab/ and job/, where a job
 * decides how many variables there are. Works on memory only. */

#include "base/name-table.h"

#include <search.h>
#include <string.h>

typedef struct Entry {
        const char *name;
        size_t n;
        const void *value;
} Entry;

static int compare(const void *a, const void *b) {
        const Entry *x = a, *y = b;
        int order = memcmp(x->name, y->name, MIN(x->n, y->n));

        return order != 0 ? order : x->n < y->n ? -1 : x->n > y->n;
}

int name_table_set(NameTable *table, const char *name, size_t n, const void *value) {
        Entry *entry = malloc(sizeof(*entry));

        if (!entry)
                return -ENOMEM;
        *entry = (Entry){ name, n, value };
        Entry **found = tsearch(entry, &table->root, compare);
        if (!found) {
                free(entry);
                return -ENOMEM;
        }
        if (*found != entry) {
                (*found)->value = value;
                free(entry);
        }
        return 0;
}

const void *name_table_find(const NameTable *table, const char *name, size_t n) {
        const Entry key = { .name = name, .n = n };

        for (; table; table = table->outer) {
                Entry *const *found = tfind(&key, &table->root, compare);
                if (found)
                        return (*found)->value;
        }
        return NULL;
}

void name_table_done(NameTable *table) {
        tdestroy(table->root, free);
        *table = (NameTable){ 0 };
}
