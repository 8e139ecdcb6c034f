/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sorts definitions so that an image comes after the one that it is made from, and finds images that would be made from
 * themselves. chroot-maintenance calls this before it starts anything, and `check`. It must read no files and change
 * nothing in a definition. Definitions in a cycle come last, and are never left out. */

#include <stdio.h>

#include "base/string.h"
#include "definition/definition.h"

#define NOWHERE SIZE_MAX

/* Returns the index of the definition that @definition is made from; NOWHERE: it is not among them. */
static size_t find_from(Definition *const *definitions, size_t n, const Definition *definition) {
        for (size_t i = 0; definition->source.from && i < n; i++)
                if (streq(definitions[i]->name, definition->source.from))
                        return i;
        return NOWHERE;
}

/* Adds " -> NAME", as far as there is room. */
static void add_name(char *text, size_t size, const char *name) {
        size_t length = strlen(text);

        snprintf(text + length, size - length, "%s%s", length > 0 ? " -> " : "", name);
}

/* Says what is wrong with definition @start, which leads into a cycle, and names the images in the cycle. */
static void explain(Definition *const *definitions, const size_t *from, size_t start, size_t n, Problem *problem) {
        char names[160] = "";
        size_t at = start;

        /* After as many steps as there are definitions, we are in the cycle, wherever we began. */
        for (size_t i = 0; i < n; i++)
                at = from[at];
        bool inside = false;
        for (size_t i = from[at]; !inside && i != at; i = from[i])
                inside = i == start;
        inside = inside || at == start;

        size_t first = inside ? start : at, i = first;
        do {
                add_name(names, sizeof(names), definitions[i]->name);
                i = from[i];
        } while (i != first);
        add_name(names, sizeof(names), definitions[first]->name);

        problem->file = definitions[start]->path;
        problem->line = definitions[start]->from_line;
        problem->column = definitions[start]->from_column;
        (void) problem_set(problem, -EINVAL, "%s: %s",
                           inside ? "the image would be made from itself" :
                                    "made from images that are made from themselves",
                           names);
}

int definition_order(Definition **definitions, size_t n, Problem *reterr_problems) {
        _cleanup_free_ size_t *from = calloc(MAX(n, (size_t) 1), sizeof(size_t));
        _cleanup_free_ bool *done = calloc(MAX(n, (size_t) 1), sizeof(bool));
        _cleanup_free_ Definition **sorted = calloc(MAX(n, (size_t) 1), sizeof(Definition *));
        size_t n_sorted = 0;
        bool progress;

        if (!from || !done || !sorted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                from[i] = find_from(definitions, n, definitions[i]);

        do {
                progress = false;
                for (size_t i = 0; i < n; i++) {
                        if (done[i] || (from[i] != NOWHERE && !done[from[i]]))
                                continue;
                        reterr_problems[n_sorted] = (Problem){ 0 };
                        sorted[n_sorted++] = definitions[i];
                        done[i] = progress = true;
                }
        } while (progress);

        /* Each definition that is left is in a cycle, or is made from one that is. */
        for (size_t i = 0; i < n; i++) {
                if (done[i])
                        continue;
                explain(definitions, from, i, n, &reterr_problems[n_sorted]);
                sorted[n_sorted++] = definitions[i];
        }
        for (size_t i = 0; i < n; i++)
                definitions[i] = sorted[i];
        return 0;
}
