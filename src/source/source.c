/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Fills the tree of a new image from the source that its definition names. Maintenance and the cache of registries'
 * images call this. It must check every tree before it returns it. The caller calls finish_tree() and publishes the
 * tree. */

#include "source/source.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/string.h"
#include "source/builder.h"
#include "source/sandbox.h"
#include "tree/check.h"
#include "tree/size.h"
#include "tree/skeleton.h"

static const Source *const sources[] = { &source_suite, &source_command, &source_tarball, &source_oci };

void source_result_done(SourceResult *result) {
        free(result->description);
        free(result->digest);
        image_config_done(&result->config);
        *result = (SourceResult){ 0 };
}

static const Source *find_source(SourceKind kind) {
        for (size_t i = 0; i < ELEMENTSOF(sources); i++)
                if (sources[i]->kind == kind)
                        return sources[i];
        return NULL;
}

int source_without_credentials(const char *url, char **ret) {
        const char *authority = strstr(url, "://");

        if (authority) {
                authority += strlen("://");
                size_t n = strcspn(authority, "/?#");
                const char *at = memrchr(authority, '@', n);
                if (at)
                        return string_printf(ret, "%.*s%s", (int) (authority - url), url, at + 1);
        }
        return string_replace(ret, url);
}

int source_describe(const SourceSpec *spec, char **ret) {
        _cleanup_free_ char *subject = NULL, *description = NULL;

        if (spec->kind == SOURCE_FROM)
                return string_printf(ret, "from %s", spec->from);
        const Source *source = find_source(spec->kind);
        if (!source)
                return -EOPNOTSUPP;
        int r = source_without_credentials(source->subject(spec), &subject);
        if (r < 0)
                return r;
        r = string_printf(&description, "%s %s", source->name, subject);
        if (r < 0)
                return r;
        /* Only one line, because tables show it. */
        description[strcspn(description, "\r\n")] = 0;
        *ret = TAKE_PTR(description);
        return 0;
}

static void hash_list(Hash *hash, char *const *list) {
        uint64_t n = strv_length(list);

        hash_update(hash, &n, sizeof(n));
        for (char *const *text = list; text && *text; text++)
                hash_string(hash, *text);
}

int source_recipe(const SourceSpec *spec, char **ret) {
        static const uint8_t key[16] = "recipe";
        Hash hash;

        hash_init(&hash, key);
        if (spec->kind == SOURCE_SUITE) {
                hash_string(&hash, spec->suite);
                hash_string(&hash, spec->mirror);
                hash_string(&hash, spec->variant);
                hash_string(&hash, spec->keyring);
                hash_list(&hash, spec->components);
                if (spec->only_packages)
                        hash_string(&hash, "only packages");
                /* Packages do not count: packages that are added to the definition later are installed in the existing
                 * tree. */
        } else if (spec->kind == SOURCE_COMMAND)
                hash_list(&hash, spec->create_command);
        else
                return string_replace(ret, NULL);
        return string_printf(ret, "recipe:%016llx", (unsigned long long) hash_finish(&hash));
}

static int add_environment(const SourceRequest *request, const SourceProgram *program, char ***environment) {
        int r = builder_environment(environment);
        if (r < 0)
                return r;
        if (program->trust != SOURCE_PROGRAM_FREE)
                r = strv_extendf(environment, "TMPDIR=%s", request->work);
        return r < 0 ? r : strv_extend_strv(environment, program->environment);
}

/* Checks target and work directory each by itself, because one is unpacked from the other. */
static int check_size(void *userdata) {
        const SourceRequest *request = userdata;
        const char *const paths[] = { request->target, request->work };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_close_ int fd = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                int r = fd < 0 ? -errno : tree_is_larger(fd, request->max_bytes);
                if (r != 0)
                        return r < 0 ? r : -EDQUOT;
        }
        return 0;
}

int source_run(const SourceRequest *request, const SourceProgram *program) {
        char *const target_and_work[] = { (char *) request->target, (char *) request->work, NULL };
        SourceTrust trust = program->trust;
        Confinement confinement = {
                .writable = trust == SOURCE_PROGRAM_UNPACK ? target_and_work : target_and_work + 1,
                .readable = program->readable,
                .online = trust == SOURCE_PROGRAM_FETCH || trust == SOURCE_PROGRAM_FETCH_DAEMON,
                .unix_sockets = trust == SOURCE_PROGRAM_FETCH_DAEMON,
                .any_owner = trust == SOURCE_PROGRAM_UNPACK,
        };
        bool free = trust == SOURCE_PROGRAM_FREE;
        _cleanup_strv_ char **envp = NULL;

        int r = add_environment(request, program, &envp);
        if (r < 0)
                return r;
        Sandbox sandbox = {
                .argv = program->argv,
                .envp = envp,
                .directory = program->directory,
                .confinement = free ? NULL : &confinement,
                .on_check = free || request->max_bytes == 0 ? NULL : check_size,
                .check_userdata = (void *) request,
                .listener = request->listener,
        };
        return sandbox_run(&sandbox);
}

/* Looks for one line among those that the program prints. */
typedef struct Search {
        bool (*matches)(const char *line);
        char *found;
} Search;

static bool search_line(void *userdata, const char *line) {
        Search *search = userdata;

        if (search->found || !search->matches(line))
                return true;
        search->found = strdup(line);
        return false;
}

int source_run_for_line(const SourceRequest *request, const SourceProgram *program, bool (*matches)(const char *line),
                        char **ret) {
        Search search = { .matches = matches };
        ListenerTap tap = { .listener = request->listener, .see = search_line, .userdata = &search };
        const Listener listener = listener_tapped(&tap);
        SourceRequest searching = *request;

        searching.listener = &listener;
        int r = source_run(&searching, program);
        if (r == 0 && !search.found)
                r = -EBADMSG;
        if (r != 0) {
                free(search.found);
                return r;
        }
        *ret = search.found;
        return 0;
}

static int complete_tree(const char *target, const char *description, Problem *reterr_problem) {
        Problem problem = { 0 };

        _cleanup_close_ int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        int r = tree_check(fd, NULL, &problem);
        if (r == TREE_REFUSED)
                return problem_set(reterr_problem, -EUCLEAN,
                                   "The tree that %s made cannot be used as a root file system: %s", description,
                                   problem.text);
        if (r < 0)
                return r;

        /* systemd-nspawn insists on usr, which images without any distribution lack. */
        r = skeleton_complete(fd);
        if (r < 0)
                return r;
        r = tree_is_root(fd);
        if (r == -ENODATA)
                return problem_set(reterr_problem, -EINVAL,
                                   "The tree that %s made is no root file system: it has neither bin nor usr/bin.",
                                   description);
        return r;
}

int source_fill(const SourceRequest *request, SourceResult *ret, Problem *reterr_problem) {
        const Source *source = find_source(request->spec->kind);
        _cleanup_source_result_ SourceResult result = { 0 };

        if (!source)
                return -EOPNOTSUPP;
        int r = source_describe(request->spec, &result.description);
        if (r < 0)
                return r;
        r = source->fill(request, &result, reterr_problem);
        if (r != 0)
                return r;
        if (!result.unchanged) {
                r = complete_tree(request->target, result.description, reterr_problem);
                if (r < 0)
                        return r;
        }
        if (!result.digest) {
                r = source_recipe(request->spec, &result.digest);
                if (r < 0)
                        return r;
        }
        *ret = result;
        result = (SourceResult){ 0 };
        return 0;
}
