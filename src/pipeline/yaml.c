/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes values of YAML as Ruby's Psych does for GitLab: scalars of YAML 1.1, "<<" where it stands, the last of equal
 * keys, and !reference. Called for each file of a configuration. No tag may make anything but these values. Aliases
 * share values, but the size that they would expand to counts against a limit. */

#include "pipeline/yaml.h"

#include <yaml.h>

#include "base/string.h"
#include "pipeline/scalar.h"

#define NODE_BYTES 40 /* roughly what GitLab counts for an object */

typedef struct Anchor {
        const char *name;
        const Value *value;
        size_t cost;
        unsigned depth;
} Anchor;

typedef struct Loader {
        Arena *arena;
        Problems *problems;
        const char *file;
        unsigned line, column;
        yaml_parser_t *parser;
        yaml_event_t event;
        bool have_event;
        Anchor *anchors;
        size_t n_anchors;
        size_t cost; /* bytes that everything read so far expands to */
        unsigned depth, deepest;
} Loader;

static void parser_destroy(void *object) {
        yaml_parser_delete(object);
        free(object);
}

static void event_destroy(void *object) {
        Loader *loader = object;

        if (loader->have_event)
                yaml_event_delete(&loader->event);
}

static Place place_of(const Loader *loader, const yaml_mark_t *mark) {
        return (Place){
                .file = loader->file,
                .line = (unsigned) mark->line + loader->line,
                .column = (unsigned) mark->column + (mark->line == 0 ? loader->column : 1),
        };
}

static Place here(const Loader *loader) {
        return place_of(loader, &loader->event.start_mark);
}

static int fail_syntax(Loader *loader) {
        const yaml_parser_t *parser = loader->parser;

        if (parser->error == YAML_MEMORY_ERROR)
                longjmp(loader->arena->exhausted, 1);
        if (parser->error == YAML_READER_ERROR)
                return problem_add(loader->problems, (Place){ .file = loader->file },
                                   "not a text file: %s at byte %zu; save it as UTF-8 without control characters",
                                   parser->problem ? parser->problem : "bad character", parser->problem_offset);
        const char *problem = parser->problem ? parser->problem : "not valid YAML";
        const char *advice = strstr(problem, "cannot start any token") ?
                                     "; put the text in quotes, and indent with blanks" :
                             strstr(problem, "mapping values are not allowed") ? "; put a text with ': ' in quotes" :
                                                                                 "";
        return problem_add(loader->problems, place_of(loader, &parser->problem_mark), "%s%s%s%s",
                           parser->context ? parser->context : "", parser->context ? ", " : "", problem, advice);
}

static int next(Loader *loader) {
        if (loader->have_event)
                yaml_event_delete(&loader->event);
        loader->have_event = yaml_parser_parse(loader->parser, &loader->event) == 1;
        return loader->have_event ? 0 : fail_syntax(loader);
}

static int count(Loader *loader, size_t bytes) {
        loader->cost += bytes;
        if (loader->cost <= YAML_EXPANDED_BYTES_MAX)
                return 0;
        return problem_add(loader->problems, here(loader),
                           "the file expands to more than %zu MiB; repeat less by aliases, or use several files",
                           YAML_EXPANDED_BYTES_MAX / 1024 / 1024);
}

static void anchor_add(Loader *loader, const char *name, const Value *value, size_t cost, unsigned depth) {
        for (size_t i = 0; i < loader->n_anchors; i++)
                if (streq(loader->anchors[i].name, name)) {
                        loader->anchors[i] = (Anchor){ loader->anchors[i].name, value, cost, depth };
                        return;
                }
        ARENA_APPEND(loader->arena, loader->anchors, loader->n_anchors, ((Anchor){ name, value, cost, depth }));
}

static int load_alias(Loader *loader, const Value **ret) {
        const char *name = (const char *) loader->event.data.alias.anchor;

        for (size_t i = 0; i < loader->n_anchors; i++) {
                const Anchor *anchor = loader->anchors + i;

                if (!streq(anchor->name, name))
                        continue;
                if (!anchor->value)
                        return problem_add(loader->problems, here(loader), "'*%.64s' contains itself", name);
                loader->deepest = MAX(loader->deepest, loader->depth + anchor->depth);
                if (loader->deepest > YAML_DEPTH_MAX)
                        return problem_add(loader->problems, here(loader), "more than %d levels of lists and mappings",
                                           YAML_DEPTH_MAX);
                *ret = anchor->value;
                return count(loader, anchor->cost);
        }
        const char **names = NULL;
        size_t n = 0;
        for (size_t i = 0; i < loader->n_anchors && i < 1000; i++)
                ARENA_APPEND(loader->arena, names, n, loader->anchors[i].name);
        ARENA_APPEND(loader->arena, names, n, NULL);
        return problem_add(loader->problems, here(loader), "there is no anchor '&%.64s' above this in the file%s", name,
                           nearest_hint(loader->arena, name, names));
}

static int load_scalar(Loader *loader, Value *value) {
        const yaml_event_t *event = &loader->event;
        const char *tag = (const char *) event->data.scalar.tag;
        size_t length = event->data.scalar.length;
        const char *text = arena_copy(loader->arena, (const char *) event->data.scalar.value, length);

        if (strlen(text) != length)
                return problem_add(loader->problems, value->place, "a text contains a NUL byte, which no job can get");
        value->type = VALUE_STRING;
        value->string = text;
        if (event->data.scalar.quoted_implicit || (tag && (streq(tag, "tag:yaml.org,2002:str") || streq(tag, "!str"))))
                return count(loader, NODE_BYTES + length);
        if (scalar_read(text, value) == SCALAR_IS_DATE)
                return problem_add(loader->problems, value->place,
                                   "an unquoted date or time is not allowed; write \"%.64s\" in quotes", text);
        return count(loader, NODE_BYTES + length);
}

static int load_node(Loader *loader, const Value **ret);

static int load_list(Loader *loader, Value *list) {
        for (;;) {
                const Value *item;

                int r = next(loader);
                if (r < 0)
                        return r;
                if (loader->event.type == YAML_SEQUENCE_END_EVENT)
                        return 0;
                r = load_node(loader, &item);
                if (r < 0)
                        return r;
                value_append(loader->arena, list, item);
        }
}

static void merge_into(Loader *loader, Value *map, const Value *from) {
        for (size_t i = 0; i < from->n_pairs; i++)
                map_set_pair(loader->arena, map, from->pairs + i);
}

/* Merges the value of "<<": existing keys are overwritten; of several mappings the first one wins. False: it is a key
 * like others. */
static bool merge_key(Loader *loader, Value *map, const Value *value) {
        if (value->type == VALUE_MAP) {
                merge_into(loader, map, value);
                return true;
        }
        if (value->type != VALUE_LIST)
                return false;
        for (size_t i = 0; i < value->n_items; i++)
                if (value->items[i]->type != VALUE_MAP)
                        return false;
        Value *all = value_new(loader->arena, VALUE_MAP, value->place);
        for (size_t i = value->n_items; i > 0; i--)
                merge_into(loader, all, value->items[i - 1]);
        merge_into(loader, map, all);
        return true;
}

static int load_map(Loader *loader, Value *map) {
        for (;;) {
                const Value *key, *value;

                int r = next(loader);
                if (r < 0)
                        return r;
                if (loader->event.type == YAML_MAPPING_END_EVENT)
                        return 0;
                r = load_node(loader, &key);
                if (r < 0)
                        return r;
                const char *name = value_to_string(loader->arena, key);
                if (!name)
                        return problem_add(loader->problems, key->place,
                                           "a key must be a text, not %s; put it in quotes if it contains [ or {",
                                           value_describe(key));
                r = next(loader);
                if (r < 0)
                        return r;
                bool alias = loader->event.type == YAML_ALIAS_EVENT;
                r = load_node(loader, &value);
                if (r < 0)
                        return r;
                if (key->type == VALUE_STRING && streq(name, "<<") && !(alias && value->type == VALUE_LIST) &&
                    merge_key(loader, map, value))
                        continue;
                map_set_pair(loader->arena, map,
                             &(ValuePair){ .key = name, .place = key->place, .value = value, .key_type = key->type });
        }
}

/* Loads the value that begins with the present event. */
static int load_content(Loader *loader, Value *value) {
        const yaml_event_t *event = &loader->event;

        switch (event->type) {
        case YAML_SCALAR_EVENT:
                return load_scalar(loader, value);
        case YAML_SEQUENCE_START_EVENT:
                value->type = VALUE_LIST;
                if (event->data.sequence_start.tag &&
                    streq((const char *) event->data.sequence_start.tag, "!reference"))
                        value->type = VALUE_REFERENCE;
                return load_list(loader, value);
        default:
                value->type = VALUE_MAP;
                return load_map(loader, value);
        }
}

static int load_node(Loader *loader, const Value **ret) {
        const yaml_event_t *event = &loader->event;
        bool collection = event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;
        unsigned outer_deepest = loader->deepest;
        size_t before = loader->cost;

        if (event->type == YAML_ALIAS_EVENT)
                return load_alias(loader, ret);
        const yaml_char_t *anchor = event->type == YAML_SCALAR_EVENT         ? event->data.scalar.anchor :
                                    event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor :
                                                                               event->data.mapping_start.anchor;
        const char *name = anchor ? arena_string(loader->arena, (const char *) anchor) : NULL;
        Value *value = value_new(loader->arena, VALUE_NULL, here(loader));
        if (name)
                anchor_add(loader, name, NULL, 0, 0);
        if (collection && ++loader->depth > YAML_DEPTH_MAX)
                return problem_add(loader->problems, value->place, "more than %d levels of lists and mappings",
                                   YAML_DEPTH_MAX);
        loader->deepest = loader->depth;
        int r = count(loader, collection ? NODE_BYTES : 0);
        if (r < 0)
                return r; /* the error ends all loading */
        r = load_content(loader, value);
        if (r < 0)
                return r;
        loader->depth -= collection;
        if (name)
                anchor_add(loader, name, value, loader->cost - before, loader->deepest - loader->depth);
        loader->deepest = MAX(loader->deepest, outer_deepest);
        *ret = value;
        return 0;
}

int yaml_load(Problems *problems, const char *file, unsigned line, unsigned column, const char *text, size_t size,
              const Value **ret) {
        Arena *arena = problems->arena;
        Loader *loader = arena_new(arena, Loader);
        ArenaOwned *parser_slot = arena_slot(arena), *event_slot = arena_slot(arena);

        *loader = (Loader){ .arena = arena, .problems = problems, .file = file, .line = line, .column = column };
        loader->parser = calloc(1, sizeof(yaml_parser_t));
        if (!loader->parser || !yaml_parser_initialize(loader->parser)) {
                free(loader->parser);
                longjmp(arena->exhausted, 1);
        }
        arena_fill(parser_slot, loader->parser, parser_destroy);
        arena_fill(event_slot, loader, event_destroy);
        yaml_parser_set_input_string(loader->parser, (const unsigned char *) text, size);

        *ret = NULL;
        int r = next(loader); /* start of the stream */
        if (r < 0)
                return r;
        r = next(loader);
        if (r < 0 || loader->event.type == YAML_STREAM_END_EVENT)
                return r;
        r = next(loader);
        return r < 0 ? r : load_node(loader, ret);
}
