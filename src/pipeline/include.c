/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads the files of a configuration and merges them: first the files that a file includes, in their order, then its
 * own content over them. evaluate.c calls this once. Files must come only from the request's provider, never from a
 * path or the network, and at most INCLUDES_MAX are read. */

#include "pipeline/include.h"

#include "base/fd.h"
#include "base/string.h"
#include "pipeline/document.h"
#include "pipeline/include-entry.h"
#include "pipeline/input.h"
#include "pipeline/yaml.h"

static int fail_read(Context *context, const IncludeFile *file, int error, const char *why) {
        const PipelineRoot *root = file->origin.root;
        Place place = file->place;

        if (error == -EUNATCH && root && root->kind == ROOT_TEMPLATES)
                return context_fail(
                        context, place,
                        "GitLab's template '%s' is not here; fetch it with --fetch, or give a directory with "
                        "templates: --include-root templates=DIR",
                        file->path);
        if (error == -EUNATCH && root)
                return context_fail(context, place, ROOT_MISSING, file->name, root->name);
        if (error == -EREMOTEIO && root)
                return context_fail(context, place, ROOT_NOT_FETCHED, file->name, why ? why : strerror(-error),
                                    root->name);
        if (error == -EBADMSG && root && root->integrity)
                return context_fail(context, place, "'%s' is not the file that 'integrity' means; it has '%s'",
                                    file->name, why ? why : "another digest");
        if (error == -ENOENT && file->second_path)
                return context_fail(context, place, "component '%s' is not there: neither %s nor %s", file->name,
                                    file->path, file->second_path);
        if (error == -ENOENT)
                return context_fail(context, place, "file '%s' is not there", file->name);
        return context_fail(context, place, "cannot read '%s': %s", file->name, why ? why : file_error_text(error));
}

/* Reads the text of a file into the arena. */
static int read_file(Context *context, const IncludeFile *file, const char **ret_text, size_t *ret_size) {
        const PipelineProvider *provider = context->request->provider;
        ArenaOwned *slot = arena_slot(context->arena);
        const char *why = NULL;
        char *data = NULL;

        int r = provider->read(provider->userdata, file->origin.root, file->path, &data, ret_size, &why);
        if (r == -ENOENT && file->second_path)
                r = provider->read(provider->userdata, file->origin.root, file->second_path, &data, ret_size, &why);
        if (r < 0)
                return fail_read(context, file, r, why);
        arena_fill(slot, data, free);
        *ret_text = data;
        for (size_t i = 0; i < *ret_size; i++)
                if (!strchr(" \t\r\n", data[i]))
                        return 0;
        return context_fail(context, file->place, "file '%s' is empty", file->name);
}

/* Adds the declarations @more, which may be NULL, to @inputs. */
static int declare_inputs(Context *context, const Value *more, Value *inputs) {
        for (size_t i = 0; value_is(more, VALUE_MAP) && i < more->n_pairs; i++) {
                if (map_find(inputs, more->pairs[i].key))
                        return context_fail(context, more->pairs[i].place, "input '%s' is declared twice",
                                            more->pairs[i].key);
                map_set_pair(context->arena, inputs, more->pairs + i);
        }
        return 0;
}

/* Adds the inputs that a file named by a header's "include" declares. Such a file may have nothing else. */
static int header_include(Context *context, const IncludeFile *file, Value *inputs) {
        static const char *const keys[] = { "inputs", NULL };
        const Value *value = NULL;
        const char *text;
        size_t size;

        int r = read_file(context, file, &text, &size);
        if (r < 0)
                return r;
        r = yaml_load(&context->problems, file->name, 1, 1, text, size, &value);
        if (r < 0)
                return r;
        if (!value_is(value, VALUE_MAP))
                return context_fail(context, file->place, "'%s' must be a mapping with 'inputs'", file->name);
        r = context_check_keys(context, value, "a file that a header includes", keys);
        return r < 0 ? r : declare_inputs(context, map_get_set(value, "inputs"), inputs);
}

static int header_includes(Context *context, const IncludeFile *file, const Value *include, Value *inputs) {
        IncludeFile *files = NULL;
        size_t n = 0;

        if (!include)
                return 0;
        int r = include_entries(context, &file->origin, include, &files, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = header_include(context, files + i, inputs);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Reads the inputs that the header declares, as a mapping. */
static int read_header(Context *context, const IncludeFile *file, const Value *header, const Value **ret) {
        static const char *const keys[] = { "inputs", "include", "component", "description", NULL };
        const Value *spec = map_get_set(header, "spec");
        Value *inputs = value_new(context->arena, VALUE_MAP, header->place);

        if (spec && spec->type != VALUE_MAP)
                return context_fail(context, spec->place, "'spec' must be a mapping with 'inputs'");
        int r = spec ? context_check_keys(context, spec, "'spec'", keys) : 0;
        if (r < 0)
                return r;
        const Value *own = map_get_set(spec, "inputs");
        if (own && own->type != VALUE_MAP)
                return context_fail(context, own->place, "'inputs' must be a mapping of names, not %s",
                                    value_describe(own));
        r = header_includes(context, file, map_get_set(spec, "include"), inputs);
        if (r < 0)
                return r;
        r = declare_inputs(context, own, inputs);
        if (r < 0)
                return r;
        *ret = inputs;
        return 0;
}

/* What "component.sha" and "component.version" are: what is known of the commit, else the reference as it is written. */
static const Value *find_commit(Context *context, const IncludeFile *file, const char *name, Place place) {
        const PipelineProvider *provider = context->request->provider;
        const Value *reference = map_get(file->component, "reference");
        PipelineCommit commit = { 0 };

        bool known = file->origin.root && provider->resolve &&
                     provider->resolve(provider->userdata, file->origin.root, &commit) >= 0;
        const char *text = streq(name, "sha") ? commit.id : commit.version;
        return known && text ? value_new_string(context->arena, arena_string(context->arena, text), place) : reference;
}

/* Makes the mapping for "component.", with only the names that the header lists. */
static const Value *header_component(Context *context, const IncludeFile *file, const Value *header) {
        const Value *list = map_get_set(map_get_set(header, "spec"), "component");
        Value *component = value_new(context->arena, VALUE_MAP, header->place);

        for (size_t i = 0; file->component && value_is(list, VALUE_LIST) && i < list->n_items; i++) {
                const Value *item = list->items[i];

                if (value_is_string(item, "sha") || value_is_string(item, "version"))
                        map_set(context->arena, component, item->string, item->place,
                                find_commit(context, file, item->string, item->place));
                else if (value_is(item, VALUE_STRING) && map_find(file->component, item->string))
                        map_set_pair(context->arena, component, map_find(file->component, item->string));
        }
        return component;
}

/* Puts the values of the inputs that @header (NULL: none) declares into @content. */
static int put_inputs_in(Context *context, const IncludeFile *file, const Value *header, Document *content) {
        const Value *spec = NULL, *inputs = NULL;

        if (!header) {
                if (!file->inputs || (file->inputs->type == VALUE_MAP && file->inputs->n_pairs == 0))
                        return 0;
                return context_fail(context, file->inputs->place, "'%s' takes no inputs: it has no header with 'spec:'",
                                    file->name);
        }
        int r = read_header(context, file, header, &spec);
        if (r < 0)
                return r;
        r = inputs_resolve(&context->problems, &context->regexes, spec, file->inputs, file->place, &inputs);
        if (r < 0)
                return r;
        return inputs_interpolate(&context->problems, file->name, content, inputs,
                                  header_component(context, file, header), &context->variables, &content->text,
                                  &content->size);
}

/* Reads the content of a file, with the values of its inputs put in, as a mapping. */
static int read_content(Context *context, const IncludeFile *file, const Value **ret) {
        Documents documents;
        const char *text = NULL;
        size_t size = 0;

        int r = read_file(context, file, &text, &size);
        if (r < 0)
                return r;
        r = documents_split(&context->problems, file->name, text, size, &documents);
        if (r < 0)
                return r;
        Document content = documents.content;
        r = put_inputs_in(context, file, documents.header, &content);
        if (r < 0)
                return r;
        r = yaml_load(&context->problems, file->name, content.line, content.column, content.text, content.size, ret);
        if (r < 0)
                return r;
        if (value_is(*ret, VALUE_MAP))
                return 0;
        const Place start = { file->name, 1, 1 };
        return context_fail(context, *ret ? (*ret)->place : start,
                            "a configuration must be a mapping such as 'job: {script: make}', not %s",
                            value_describe(*ret));
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
