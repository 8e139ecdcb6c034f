/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Helpers that all parts of an evaluation use. They must know no keyword of GitLab: callers pass the names that they
 * allow. */

#include "pipeline/context.h"

#include "base/string.h"

#define LEVELS_MAX 10 /* of lists in lists that are flattened */

int context_check_keys(Context *context, const Value *map, const char *what, const char *const names[]) {
        int result = 0;

        for (size_t i = 0; i < map->n_pairs; i++) {
                bool known = false;

                for (size_t k = 0; names[k] && !known; k++)
                        known = streq(names[k], map->pairs[i].key);
                if (!known)
                        result = context_fail(context, map->pairs[i].place, "%s has no key '%.100s'%s", what,
                                              map->pairs[i].key,
                                              nearest_hint(context->arena, map->pairs[i].key, names));
        }
        return result;
}

static bool flatten(Context *context, const Value *list, unsigned level, Value *flat) {
        for (size_t i = 0; i < list->n_items; i++) {
                if (list->items[i]->type != VALUE_LIST)
                        value_append(context->arena, flat, list->items[i]);
                else if (level >= LEVELS_MAX || !flatten(context, list->items[i], level + 1, flat))
                        return false;
        }
        return true;
}

const Value *value_flatten(Context *context, const Value *list, const char *what) {
        bool nested = false;

        for (size_t i = 0; i < list->n_items; i++)
                nested = nested || list->items[i]->type == VALUE_LIST;
        if (!nested)
                return list;
        Value *flat = value_new(context->arena, VALUE_LIST, list->place);
        if (flatten(context, list, 1, flat))
                return flat;
        (void) context_fail(context, list->place, "'%s' has more than %d levels of lists", what, LEVELS_MAX);
        return NULL;
}
