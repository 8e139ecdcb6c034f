/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out which files the entries of an "include" mean: local files with wildcards, other projects, servers,
 * templates and components. Called by include.c, which reads them. It must open and fetch nothing: a file that is not
 * at hand is reported when it is read. */

#include "pipeline/include-entry.h"

#include "base/string.h"
#include "pipeline/glob.h"
#include "pipeline/rule.h"

#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

static const char *const entry_keys[] = { "local",    "project",   "file",     "ref", "remote", "integrity", "cache",
                                          "template", "component", "artifact", "job", "inputs", "rules",     NULL };
static const char *const kinds[] = { "local", "project", "remote", "template", "component", "artifact", NULL };

typedef struct Entries {
        Context *context;
        const Origin *origin;
        IncludeFile *files;
        size_t n;
} Entries;

static const char *expand(Entries *entries, const char *text) {
        Variables none = { .arena = entries->context->arena };

        return variables_expand(entries->origin->no_project ? &none : &entries->context->variables, text, false);
}

static void add(Entries *entries, IncludeFile file, const Value *entry) {
        file.place = entry->place;
        file.inputs = map_get_set(entry, "inputs");
        ARENA_APPEND(entries->context->arena, entries->files, entries->n, file);
}

static bool is_yaml(const char *path) {
        return endswith(path, ".yml") || endswith(path, ".yaml");
}

/* Adds a file of the origin. @path must be in the arena: it outlives the list of files that it may come from. */
static void add_own(Entries *entries, const char *path, const Value *entry) {
        const PipelineRoot *root = entries->origin->root;
        const char *name = root ? arena_printf(entries->context->arena, "%s:%s", root->name, path) : path;

        add(entries, (IncludeFile){ .origin = *entries->origin, .path = path, .name = name }, entry);
}

/* Adds all files of the origin whose paths match. It is no error if there are none. */
static int add_matching(Entries *entries, const char *pattern, const Value *entry) {
        const PipelineProvider *provider = entries->context->request->provider;
        const char *why = NULL;
        char *const *paths;

        int r = provider->list(provider->userdata, entries->origin->root, &paths, &why);
        if (r < 0)
                return context_fail(entries->context, entry->place, "cannot list the files for '%s': %s", pattern,
                                    why ? why : strerror(-r));
        for (; *paths; paths++)
                if (wildcard_match(pattern, *paths))
                        add_own(entries, arena_string(entries->context->arena, *paths), entry);
        return 0;
}

static int add_local(Entries *entries, const Value *entry, const Value *value) {
        const char *path = expand(entries, value->string);

        if (entries->origin->no_project)
                return context_fail(
                        entries->context, value->place,
                        "a file of a server or a template has no local files to include; name a 'project' or a 'remote'");
        while (*path == '/')
                path++;
        if (!is_yaml(path))
                return context_fail(entries->context, value->place, "'%s' must end with .yml or .yaml", path);
        if (strchr(path, '*'))
                return add_matching(entries, path, entry);
        add_own(entries, path, entry);
        return 0;
}

static const PipelineRoot *make_root(Entries *entries, PipelineRoot root) {
        PipelineRoot *copy = arena_alloc(entries->context->arena, sizeof(PipelineRoot));

        *copy = root;
        return copy;
}

/* A text that an entry may have: NULL, "", or with variables expanded. -EINVAL: it is something else. */
static int find_text(Entries *entries, const Value *entry, const char *key, const char **ret) {
        const Value *value = map_get_set(entry, key);

        *ret = value_is(value, VALUE_STRING) ? expand(entries, value->string) : NULL;
        return !value || *ret ? 0 :
                                context_fail(entries->context, value->place, "'%s' must be a text, not %s", key,
                                             value_describe(value));
}

static int add_project(Entries *entries, const Value *entry, const Value *value) {
        Context *context = entries->context;
        const Value *file = map_get_set(entry, "file");
        const char *project = expand(entries, value->string), *ref;

        if (find_text(entries, entry, "ref", &ref) < 0)
                return -EINVAL;
        if (!file || (file->type != VALUE_STRING && file->type != VALUE_LIST))
                return context_fail(context, file ? file->place : entry->place,
                                    "'project' needs 'file', a path or a list of paths in that project");
        bool own = context->request->project_path && strcasecmp(project, context->request->project_path) == 0;
        const char *name = own ? NULL : arena_printf(context->arena, "%s/%s", context->request->host, project);
        const PipelineRoot *root = own ? NULL :
                                         make_root(entries, (PipelineRoot){ .kind = ROOT_PROJECT,
                                                                            .name = name,
                                                                            .ref = isempty(ref) ? NULL : ref });
        size_t n = file->type == VALUE_LIST ? file->n_items : 1;
        for (size_t i = 0; i < n; i++) {
                const Value *item = file->type == VALUE_LIST ? file->items[i] : file;

                if (item->type != VALUE_STRING)
                        return context_fail(context, item->place, "a path must be a text, not %s",
                                            value_describe(item));
                const char *path = expand(entries, item->string);
                while (*path == '/')
                        path++;
                if (!is_yaml(path))
                        return context_fail(context, item->place, "'%s' must end with .yml or .yaml", path);
                add(entries,
                    (IncludeFile){ .origin = { .root = root },
                                   .path = path,
                                   .name = root ? arena_printf(context->arena, "%s:%s", project, path) : path },
                    entry);
        }
        return 0;
}

/* "sha256-" and 32 bytes in Base64. */
static bool is_integrity(const char *text) {
        const char *digest = startswith(text, "sha256-");

        return digest && strlen(digest) == 44 && digest[43] == '=' && strspn(digest, BASE64) == 43;
}

static int add_remote(Entries *entries, const Value *entry, const Value *value) {
        Context *context = entries->context;
        const char *url = expand(entries, value->string), *integrity = NULL;
        const char *rest = startswith(url, "https://"), *slash;

        if (entry->type == VALUE_MAP && find_text(entries, entry, "integrity", &integrity) < 0)
                return -EINVAL;
        if (integrity && !is_integrity(integrity))
                return context_fail(context, map_get_set(entry, "integrity")->place,
                                    "'integrity' must be 'sha256-' and the digest in Base64, not '%s'", integrity);
        if (!rest)
                rest = startswith(url, "http://");
        if (!rest || !(slash = strchr(rest, '/')))
                return context_fail(context, value->place, "'%s' must be a URL such as https://HOST/PATH.yml", url);
        const char *at = memrchr(rest, '@', (size_t) (slash - rest)), *host = at ? at + 1 : rest;
        size_t shown = strcspn(host, "?#");
        const PipelineRoot *root = make_root(
                entries, (PipelineRoot){ .kind = ROOT_SERVER,
                                         .name = arena_copy(context->arena, host, (size_t) (slash - host)),
                                         .url = url,
                                         .shown = arena_printf(context->arena, "%.*s%.*s%s", (int) (rest - url), url,
                                                               (int) shown, host, host[shown] ? "?..." : ""),
                                         .integrity = integrity });
        add(entries,
            (IncludeFile){ .origin = { .root = root, .no_project = true }, .path = slash + 1, .name = root->shown },
            entry);
        return 0;
}

static int add_template(Entries *entries, const Value *entry, const Value *value) {
        const char *name = expand(entries, value->string);

        if (!endswith(name, ".gitlab-ci.yml"))
                return context_fail(entries->context, value->place,
                                    "the name of a template ends with .gitlab-ci.yml, as '%s.gitlab-ci.yml'", name);
        const PipelineRoot *root = make_root(entries, (PipelineRoot){ .kind = ROOT_TEMPLATES, .name = "templates" });
        add(entries, (IncludeFile){ .origin = { .root = root, .no_project = true }, .path = name, .name = name },
            entry);
        return 0;
}

static int add_component(Entries *entries, const Value *entry, const Value *value) {
        Context *context = entries->context;
        Arena *arena = context->arena;
        char *address = arena_string(arena, expand(entries, value->string));
        char *version = strrchr(address, '@'), *name = strrchr(address, '/');

        if (!version || !name || version < name || strchr(address, '/') == name)
                return context_fail(context, value->place, "a component is written HOST/PROJECT/NAME@VERSION, not '%s'",
                                    address);
        const char *reference = arena_string(arena, address);
        *version++ = 0;
        *name++ = 0;
        const char *own = arena_printf(arena, "%s/%s", context->request->host,
                                       context->request->project_path ? context->request->project_path : "");
        Value *component = value_new(arena, VALUE_MAP, value->place);
        map_set(arena, component, "name", value->place, value_new_string(arena, name, value->place));
        map_set(arena, component, "reference", value->place, value_new_string(arena, version, value->place));
        add(entries,
            (IncludeFile){ .origin = { .root = strcasecmp(own, address) == 0 ?
                                                       NULL :
                                                       make_root(entries, (PipelineRoot){ .kind = ROOT_COMPONENT,
                                                                                          .name = address,
                                                                                          .ref = version }) },
                           .path = arena_printf(arena, "templates/%s.yml", name),
                           .second_path = arena_printf(arena, "templates/%s/template.yml", name),
                           .name = reference,
                           .component = component },
            entry);
        return 0;
}

/* Finds out of which kind an entry is, and its value. -EINVAL: it is of no kind, or of several. */
static int find_kind(Context *context, const Value *entry, const Value **ret_value) {
        int found = -1;

        for (int i = 0; kinds[i]; i++) {
                const ValuePair *pair = map_find(entry, kinds[i]);

                if (!pair)
                        continue;
                if (found >= 0)
                        return context_fail(context, pair->place, "an include is either '%s' or '%s'; make two of them",
                                            kinds[found], kinds[i]);
                found = i;
                *ret_value = pair->value;
        }
        if (found < 0)
                return context_fail(context, entry->place,
                                    "an include needs one of 'local', 'project', 'remote', 'template' and 'component'");
        if (!value_is(*ret_value, VALUE_STRING) || !*(*ret_value)->string)
                return context_fail(context, entry->place, "'%s' must be a text", kinds[found]);
        return found;
}

static int add_entry(Entries *entries, const Value *entry) {
        static int (*const adders[])(Entries *, const Value *, const Value *) = { add_local, add_project, add_remote,
                                                                                  add_template, add_component };
        Context *context = entries->context;
        const Value *value = NULL;

        if (entry->type == VALUE_STRING) {
                const char *location = expand(entries, entry->string);
                bool remote = startswith(location, "http://") || startswith(location, "https://");

                return remote ? add_remote(entries, entry, entry) : add_local(entries, entry, entry);
        }
        if (entry->type != VALUE_MAP)
                return context_fail(context, entry->place, "an include must be a path or a mapping, not %s",
                                    value_describe(entry));
        int r = context_check_keys(context, entry, "an include", entry_keys);
        if (r < 0)
                return r;
        const Value *inputs = map_get_set(entry, "inputs");
        if (inputs && inputs->type != VALUE_MAP)
                return context_fail(context, inputs->place, "'inputs' must be a mapping of names and values, not %s",
                                    value_describe(inputs));
        int kind = find_kind(context, entry, &value);
        if (kind < 0)
                return kind;
        if (streq(kinds[kind], "artifact"))
                return context_fail(context, entry->place, "'artifact' can only be included by 'trigger'");
        r = rule_include(context, map_get_set(entry, "rules"), entries->origin->root);
        if (r == 0)
                context->n_left_out++;
        return r <= 0 ? r : adders[kind](entries, entry, value);
}

int include_entries(Context *context, const Origin *origin, const Value *include, IncludeFile **ret_files,
                    size_t *ret_n) {
        Entries entries = { .context = context, .origin = origin };
        int result = 0;

        if (!value_is_null(include)) {
                size_t n = include->type == VALUE_LIST ? include->n_items : 1;

                for (size_t i = 0; i < n; i++)
                        if (add_entry(&entries, include->type == VALUE_LIST ? include->items[i] : include) < 0)
                                result = -EINVAL;
        }
        *ret_files = entries.files;
        *ret_n = entries.n;
        return result;
}
