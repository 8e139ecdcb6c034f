/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the files of a configuration and merges them: each file's own includes first, in their order, its own content over
 * them. Called once for an evaluation. Files come from the request's provider only. */

#include "pipeline/include.h"

#include "base/string.h"
#include "pipeline/document.h"
#include "pipeline/include-entry.h"
#include "pipeline/input.h"
#include "pipeline/yaml.h"

static int fail_read(Context *context, const IncludeFile *file, int error) {
        Place place = file->place;

        if (error == -EUNATCH && file->origin.root && streq(file->origin.root, "templates"))
                return context_fail(
                        context, place,
                        "GitLab's template '%s' is not here; give a directory with templates: --include-root templates=DIR",
                        file->path);
        if (error == -EUNATCH)
                return context_fail(context, place,
                                    "'%s' is not here; give a directory that stands in for it: --include-root %s=DIR",
                                    file->name, file->origin.root);
        if (error == -ENOENT && file->second_path)
                return context_fail(context, place, "component '%s' is not there: neither %s nor %s", file->name,
                                    file->path, file->second_path);
        if (error == -ENOENT)
                return context_fail(context, place, "file '%s' is not there", file->name);
        return context_fail(context, place, "cannot read '%s': %s", file->name, strerror(-error));
}

/* The text of a file, in the arena. */
static int read_file(Context *context, const IncludeFile *file, const char **ret_text, size_t *ret_size) {
        const PipelineProvider *provider = context->request->provider;
        ArenaOwned *slot = arena_slot(context->arena);
        char *data = NULL;

        int r = provider->read(provider->userdata, file->origin.root, file->path, &data, ret_size);
        if (r == -ENOENT && file->second_path)
                r = provider->read(provider->userdata, file->origin.root, file->second_path, &data, ret_size);
        if (r < 0)
                return fail_read(context, file, r);
        arena_fill(slot, data, free);
        *ret_text = data;
        for (size_t i = 0; i < *ret_size; i++)
                if (!strchr(" \t\r\n", data[i]))
                        return 0;
        return context_fail(context, file->place, "file '%s' is empty", file->name);
}

/* The inputs that files named by the header's "include" declare: they hold nothing else. */
static int header_includes(Context *context, const IncludeFile *file, const Value *include, Value *inputs) {
        IncludeFile *files = NULL;
        size_t n = 0;

        int r = include_entries(context, &file->origin, include, &files, &n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                const Value *value = NULL;
                const char *text;
                size_t size;

                r = read_file(context, files + i, &text, &size);
                if (r >= 0)
                        r = yaml_load(&context->problems, files[i].name, 1, 1, text, size, &value);
                if (r < 0)
                        return r;
                static const char *const keys[] = { "inputs", NULL };
                if (!value_is(value, VALUE_MAP))
                        return context_fail(context, files[i].place, "'%s' must be a mapping with 'inputs'",
                                            files[i].name);
                r = context_check_keys(context, value, "a file that a header includes", keys);
                const Value *more = map_get_set(value, "inputs");
                for (size_t k = 0; r >= 0 && value_is(more, VALUE_MAP) && k < more->n_pairs; k++) {
                        if (map_find(inputs, more->pairs[k].key))
                                return context_fail(context, more->pairs[k].place, "input '%s' is declared twice",
                                                    more->pairs[k].key);
                        map_set_pair(context->arena, inputs, more->pairs + k);
                }
        }
        return r;
}

/* The declared inputs of the header: a mapping. */
static int read_header(Context *context, const IncludeFile *file, const Value *header, const Value **ret) {
        static const char *const keys[] = { "inputs", "include", "component", "description", NULL };
        const Value *spec = map_get_set(header, "spec");
        Value *inputs = value_new(context->arena, VALUE_MAP, header->place);

        if (spec && spec->type != VALUE_MAP)
                return context_fail(context, spec->place, "'spec' must be a mapping with 'inputs'");
        int r = spec ? context_check_keys(context, spec, "'spec'", keys) : 0;
        const Value *own = map_get_set(spec, "inputs");
        if (r >= 0 && own && own->type != VALUE_MAP)
                r = context_fail(context, own->place, "'inputs' must be a mapping of names, not %s",
                                 value_describe(own));
        if (r < 0)
                return r;
        const Value *include = map_get_set(spec, "include");
        r = include ? header_includes(context, file, include, inputs) : 0;
        for (size_t i = 0; r >= 0 && own && i < own->n_pairs; i++) {
                if (map_find(inputs, own->pairs[i].key))
                        return context_fail(context, own->pairs[i].place, "input '%s' is declared twice",
                                            own->pairs[i].key);
                map_set_pair(context->arena, inputs, own->pairs + i);
        }
        *ret = inputs;
        return r;
}

/* What "component." means: only the names that the header lists. */
static const Value *header_component(Context *context, const IncludeFile *file, const Value *header) {
        const Value *list = map_get_set(map_get_set(header, "spec"), "component");
        Value *component = value_new(context->arena, VALUE_MAP, header->place);

        for (size_t i = 0; value_is(list, VALUE_LIST) && i < list->n_items; i++) {
                const ValuePair *pair = value_is(list->items[i], VALUE_STRING) ?
                                                map_find(file->component, list->items[i]->string) :
                                                NULL;
                if (pair)
                        map_set_pair(context->arena, component, pair);
        }
        return component;
}

/* The content of a file, with its inputs put in, as a mapping. */
static int read_content(Context *context, const IncludeFile *file, const Value **ret) {
        Documents documents;
        const char *text = NULL;
        size_t size = 0;

        int r = read_file(context, file, &text, &size);
        if (r >= 0)
                r = documents_split(&context->problems, file->name, text, size, &documents);
        if (r < 0)
                return r;
        Document content = documents.content;
        if (documents.header) {
                const Value *spec = NULL, *inputs = NULL;

                r = read_header(context, file, documents.header, &spec);
                if (r >= 0)
                        r = inputs_resolve(&context->problems, &context->regexes, spec, file->inputs, file->place,
                                           &inputs);
                if (r >= 0)
                        r = inputs_interpolate(&context->problems, file->name, &content, inputs,
                                               header_component(context, file, documents.header), &context->variables,
                                               &content.text, &content.size);
        } else if (file->inputs && (file->inputs->type != VALUE_MAP || file->inputs->n_pairs > 0))
                r = context_fail(context, file->inputs->place, "'%s' takes no inputs: it has no header with 'spec:'",
                                 file->name);
        if (r < 0)
                return r;
        r = yaml_load(&context->problems, file->name, content.line, content.column, content.text, content.size, ret);
        Place start = { file->name, 1, 1 };
        if (r >= 0 && !value_is(*ret, VALUE_MAP))
                r = context_fail(context, *ret ? (*ret)->place : start,
                                 "a configuration must be a mapping such as 'job: {script: make}', not %s",
                                 value_describe(*ret));
        return r;
}

static int load(Context *context, const IncludeFile *file, const Value **ret) {
        const Value *content = NULL, *merged = NULL;
        IncludeFile *files = NULL;
        size_t n = 0;

        int r = read_content(context, file, &content);
        if (r < 0)
                return r;
        r = include_entries(context, &file->origin, map_get(content, "include"), &files, &n);
        for (size_t i = 0; i < n; i++) {
                const Value *included = NULL;

                if (context->n_includes++ >= INCLUDES_MAX)
                        return context_fail(context, files[i].place,
                                            "more than %d files are included; GitLab allows no more", INCLUDES_MAX);
                if (load(context, files + i, &included) < 0)
                        r = -EINVAL;
                else
                        merged = merged ? value_merge(context->arena, merged, included) : included;
                if (context->n_includes > INCLUDES_MAX)
                        return r;
        }
        if (r < 0)
                return r;
        if (map_find(content, "include")) {
                Value *rest = value_new(context->arena, VALUE_MAP, content->place);

                for (size_t i = 0; i < content->n_pairs; i++)
                        if (!streq(content->pairs[i].key, "include"))
                                map_set_pair(context->arena, rest, content->pairs + i);
                content = rest;
        }
        *ret = merged ? value_merge(context->arena, merged, content) : content;
        return 0;
}

int include_load(Context *context, const Value **ret) {
        IncludeFile file = { .path = context->request->file,
                             .name = context->request->file,
                             .inputs = context->request->inputs };

        return load(context, &file, ret);
}
