/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The list of what is wrong with a configuration. Everything that reads or checks a configuration adds to it; only the
 * command shows it. It must keep at most PIPELINE_PROBLEMS_MAX problems, and counts the others, so that no
 * configuration makes it large. */

#include "pipeline/problem.h"

#include "base/string.h"

#define TYPED_MAX_BYTES 100

int problem_add(Problems *problems, Place place, const char *format, ...) {
        va_list ap;

        if (problems->n >= PIPELINE_PROBLEMS_MAX) {
                problems->n_left_out++;
                return -EINVAL;
        }
        va_start(ap, format);
        const char *text = arena_vprintf(problems->arena, format, ap);
        va_end(ap);
        for (size_t i = 0; i < problems->n; i++)
                if (streq(problems->items[i].text, text) && problems->items[i].place.line == place.line &&
                    problems->items[i].place.column == place.column &&
                    streq_null(problems->items[i].place.file, place.file))
                        return -EINVAL;
        ARENA_APPEND(problems->arena, problems->items, problems->n, ((PipelineProblem){ place, text }));
        return -EINVAL;
}

static const char *hint(Arena *arena, const char *name) {
        return name ? arena_printf(arena, "; did you mean '%s'?", name) : "";
}

static const char *name_at(const void *userdata, size_t i) {
        return ((const char *const *) userdata)[i];
}

const char *nearest_hint(Arena *arena, const char *typed, const char *const names[]) {
        if (strlen(typed) > TYPED_MAX_BYTES)
                return "";
        int i = nearest_name(typed, name_at, names);

        return hint(arena, i >= 0 ? names[i] : NULL);
}

const char *nearest_key_hint(Arena *arena, const char *typed, const Value *map) {
        const char **names = NULL;
        size_t n = 0;

        if (!value_is(map, VALUE_MAP) || map->n_pairs > 2000)
                return "";
        for (size_t i = 0; i < map->n_pairs; i++)
                if ((map->pairs[i].key[0] == '.') == (typed[0] == '.') && strlen(map->pairs[i].key) <= TYPED_MAX_BYTES)
                        ARENA_APPEND(arena, names, n, map->pairs[i].key);
        ARENA_APPEND(arena, names, n, NULL);
        return nearest_hint(arena, typed, names);
}
