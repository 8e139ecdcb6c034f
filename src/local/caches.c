/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Restores and keeps caches under their keys. Called by the process of a job, as the user who called `exec`. Keys are
 * texts of the repository and never become paths as they are; what goes wrong with a cache fails no job. */

#include "local/caches.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/string.h"
#include "pipeline/glob.h"

#define GREEN "\033[32;1m"
#define YELLOW "\033[0;33m"
#define RESET "\033[0;m"

static const Value *cache_list(const LocalJob *job) {
        const Value *cache = map_get_set(job->job->config, "cache");

        if (!value_is(cache, VALUE_MAP))
                return value_is(cache, VALUE_LIST) ? cache : NULL;
        Value *list = value_new(job->arena, VALUE_LIST, cache->place);
        value_append(job->arena, list, cache);
        return list;
}

bool caches_any(const LocalJob *job) {
        const Value *list = cache_list(job);

        return list && list->n_items > 0;
}

static bool matches_any(const LocalJob *job, const Value *globs, const char *path) {
        for (size_t i = 0; i < globs->n_items; i++)
                if (glob_match(local_expand(job, globs->items[i]->string), path))
                        return true;
        return false;
}

/* However long the file is. */
static int add_file(Hash *hash, int top_fd, const char *path) {
        char data[65536];

        _cleanup_close_ int fd = file_open_in_root(top_fd, path);
        if (fd < 0)
                return fd;
        hash_string(hash, path);
        for (;;) {
                ssize_t n = read(fd, data, sizeof(data));
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                hash_update(hash, data, (size_t) n);
        }
}

/* A hash of the files as they are in the working copy, committed or not. "default" if there are none. */
static const char *digest(const Keeper *keeper, const Value *globs) {
        static const uint8_t key[16] = "cache:key:files";
        const LocalJob *job = keeper->caller->job;
        const PipelineProvider *provider = job->pipeline->context.request->provider;
        const Value *lines = local_lines(job, globs);
        char *const *paths;
        const char *why;
        bool any = false;
        Hash hash;

        hash_init(&hash, key);
        _cleanup_close_ int top_fd = open(keeper->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (top_fd < 0 || provider->list(provider->userdata, NULL, &paths, &why) < 0)
                return "default";
        for (; *paths; paths++)
                if (matches_any(job, lines, *paths) && add_file(&hash, top_fd, *paths) == 0)
                        any = true;
        return any ? arena_printf(job->arena, "%016" PRIx64, hash_finish(&hash)) : "default";
}

static const char *key_of(const Keeper *keeper, const Value *cache, size_t number) {
        const LocalJob *job = keeper->caller->job;
        const Value *key = map_get_set(cache, "key"), *files = map_get_set(key, "files");

        if (!value_is(key, VALUE_MAP)) {
                const char *text = local_text(job, cache, "key");
                return isempty(text) ? "default" : text;
        }
        if (!files)
                files = map_get_set(key, "files_commits");
        const char *prefix = local_text(job, key, "prefix");
        return arena_printf(job->arena, "%s-%s", isempty(prefix) ? arena_printf(job->arena, "%zu", number) : prefix,
                            digest(keeper, files));
}

static const char *path_of(const Keeper *keeper, const char *key) {
        _cleanup_free_ char *name = NULL;

        if (hash_file_name(key, ".cache", &name) < 0)
                return "";
        return arena_printf(keeper->caller->job->arena, "%s/%s", keeper->store->caches, name);
}

static bool has_policy(const LocalJob *job, const Value *cache, const char *part) {
        const char *policy = local_text(job, cache, "policy");

        return isempty(policy) || strstr(policy, part);
}

/* The key, and those to fall back to. */
static const Value *keys_of(const Keeper *keeper, const Value *cache, size_t number) {
        const LocalJob *job = keeper->caller->job;
        Value *keys = value_new(job->arena, VALUE_LIST, (Place){ 0 });
        const Value *others = local_lines(job, map_get_set(cache, "fallback_keys"));
        const char *last = variables_get(&job->variables, "CACHE_FALLBACK_KEY");

        value_append(job->arena, keys, value_new_string(job->arena, key_of(keeper, cache, number), keys->place));
        for (size_t i = 0; i < others->n_items; i++)
                value_append(job->arena, keys,
                             value_new_string(job->arena, local_expand(job, others->items[i]->string), keys->place));
        if (!isempty(last) && !endswith(last, "-protected"))
                value_append(job->arena, keys, value_new_string(job->arena, last, keys->place));
        return keys;
}

static void restore(const Keeper *keeper, const Value *keys) {
        for (size_t i = 0; i < keys->n_items; i++) {
                const char *key = keys->items[i]->string, *path = path_of(keeper, key);

                caller_log(keeper->caller, GREEN "Checking cache for %s..." RESET, key);
                if (access(path, F_OK) < 0) {
                        caller_log(keeper->caller, YELLOW "There is no such cache yet" RESET);
                        continue;
                }
                int r = files_put(keeper->caller, path, keeper->store->path);
                if (caller_check(keeper->caller) < 0)
                        return;
                caller_log(keeper->caller,
                           r < 0 ? YELLOW "Failed to extract cache" RESET : GREEN "Successfully extracted cache" RESET);
                if (r == 0)
                        return;
        }
}

void caches_restore(const Keeper *keeper) {
        const LocalJob *job = keeper->caller->job;
        const Value *list = cache_list(job);

        for (size_t i = 0; list && i < list->n_items && caller_check(keeper->caller) == 0; i++)
                if (has_policy(job, list->items[i], "pull"))
                        restore(keeper, keys_of(keeper, list->items[i], i));
}

static int save(const Keeper *keeper, const Value *cache, const char *key, Problem *reterr_problem) {
        const LocalJob *job = keeper->caller->job;
        const char *format = local_variable(job, "CACHE_COMPRESSION_FORMAT", "zip");
        _cleanup_close_ int fd = -EBADF;
        size_t n;

        int r = keeper_take(keeper, cache, &fd, &n);
        if (r < 0 || fd < 0)
                return r;
        caller_log(keeper->caller, "Found %zu matching files and directories", n);
        return keeper_keep(keeper, fd, path_of(keeper, key), NULL,
                           streq(format, "tarzstd") ? ARCHIVE_TAR_ZSTD : ARCHIVE_ZIP,
                           keeper_level(job, "CACHE_COMPRESSION_LEVEL"), reterr_problem);
}

void caches_save(const Keeper *keeper, bool success) {
        const LocalJob *job = keeper->caller->job;
        const Value *list = cache_list(job);

        for (size_t i = 0; list && i < list->n_items && caller_check(keeper->caller) == 0; i++) {
                const Value *cache = list->items[i];
                Problem problem = { 0 };

                if (!has_policy(job, cache, "push") || !keeper_is_due(job, cache, success))
                        continue;
                const char *key = key_of(keeper, cache, i);
                caller_log(keeper->caller, GREEN "Creating cache %s..." RESET, key);
                int r = save(keeper, cache, key, &problem);
                if (r < 0)
                        caller_log(keeper->caller, YELLOW "Failed to create cache: %s" RESET,
                                   problem_text(&problem, r));
                else
                        caller_log(keeper->caller, GREEN "Created cache" RESET);
        }
}
