/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides where files of other projects and servers come from. Called by the provider, for what no directory stands in for. It
 * must fetch nothing unless the user asked for that, and everything that is fetched must be limited in size and time. */

#include "project/fetch.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"
#include "project/fetch-tree.h"
#include "project/fetch-url.h"

/* GitLab ships its templates in its own repository. */
#define TEMPLATES "https://gitlab.com/gitlab-org/gitlab/-/raw/master/lib/gitlab/ci/templates/"

int fetch_init(Fetch *ret, const Remote *remote) {
        const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        char *cache = NULL;
        int r = 0;

        if (!isempty(xdg) && xdg[0] == '/')
                r = string_printf(&cache, "%s/nspawn-runner/exec", xdg);
        else if (!isempty(home) && home[0] == '/')
                r = string_printf(&cache, "%s/.cache/nspawn-runner/exec", home);
        if (r < 0)
                return r;
        *ret = (Fetch){ .host = remote->fqdn,
                        .base = remote->base,
                        .user = remote->user,
                        .password = remote->password,
                        .cache = cache };
        return 0;
}

static void tree_free(FetchTree *tree) {
        char *strings[] = { tree->name, tree->ref, tree->url, tree->directory, tree->commit, tree->version, tree->why };

        for (size_t i = 0; i < ELEMENTSOF(strings); i++)
                free(strings[i]);
        strv_free(tree->paths);
        free(tree);
}

void fetch_done(Fetch *fetch) {
        while (fetch->trees) {
                FetchTree *next = fetch->trees->next;

                tree_free(fetch->trees);
                fetch->trees = next;
        }
        free(fetch->cache);
        free(fetch->why);
        *fetch = (Fetch){ 0 };
}

/* Begins a call that may fail: what the last one said is gone. */
static void begin(Fetch *fetch, const char **reterr_why) {
        free(fetch->why);
        fetch->why = NULL;
        *reterr_why = NULL;
}

/* Names of templates have blanks and such. */
static int template_url(const char *name, char **ret) {
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
        char *url = malloc(strlen(TEMPLATES) + 3 * strlen(name) + 1);

        if (!url)
                return -ENOMEM;
        char *end = stpcpy(url, TEMPLATES);
        for (; *name; name++)
                if (strchr(plain, *name))
                        *end++ = *name;
                else
                        end += sprintf(end, "%%%02X", (unsigned char) *name);
        *end = 0;
        *ret = url;
        return 0;
}

/* As fetch_url_read(). */
static int read_template_in(Fetch *fetch, const char *directory, const char *path, char **ret_data, size_t *ret_size) {
        _cleanup_free_ char *name = NULL, *url = NULL;

        int r = string_printf(&name, "%s%s", directory, path);
        if (r < 0)
                return r;
        r = template_url(name, &url);
        return r < 0 ? r : fetch_url_read(fetch, url, url, NULL, ret_data, ret_size);
}

/* GitLab also looks in these directories. */
static int read_template(Fetch *fetch, const char *path, char **ret_data, size_t *ret_size) {
        static const char *const directories[] = { "", "Pages/", "Verify/", "Security/" };
        int r = -ENOENT;

        if (!path_is_plain(path))
                return -ENOENT;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                r = read_template_in(fetch, directories[i], path, ret_data, ret_size);
                bool missing = r == -EUNATCH || (r == -EREMOTEIO && fetch->why && strstr(fetch->why, " 404"));
                if (!missing)
                        return r;
        }
        return r;
}

static int read_file(Fetch *fetch, const PipelineRoot *root, const char *path, char **ret_data, size_t *ret_size) {
        FetchTree *tree;

        if (!fetch->cache)
                return -EUNATCH;
        if (root->kind == ROOT_SERVER)
                return fetch_url_read(fetch, root->url, root->shown, root->integrity, ret_data, ret_size);
        if (root->kind == ROOT_TEMPLATES)
                return read_template(fetch, path, ret_data, ret_size);
        int r = fetch_tree_open(fetch, root, &tree);
        return r < 0 ? r : fetch_tree_read(fetch, tree, path, ret_data, ret_size);
}

int fetch_read(Fetch *fetch, const PipelineRoot *root, const char *path, char **ret_data, size_t *ret_size,
               const char **reterr_why) {
        begin(fetch, reterr_why);
        int r = read_file(fetch, root, path, ret_data, ret_size);
        *reterr_why = fetch->why;
        return r;
}

static int list_files(Fetch *fetch, const PipelineRoot *root, char *const **ret_paths) {
        FetchTree *tree;

        if (!fetch->cache || root->kind == ROOT_SERVER || root->kind == ROOT_TEMPLATES)
                return -EUNATCH;
        int r = fetch_tree_open(fetch, root, &tree);
        return r < 0 ? r : fetch_tree_list(fetch, tree, ret_paths);
}

int fetch_list(Fetch *fetch, const PipelineRoot *root, char *const **ret_paths, const char **reterr_why) {
        begin(fetch, reterr_why);
        int r = list_files(fetch, root, ret_paths);
        *reterr_why = fetch->why;
        return r;
}

int fetch_resolve(Fetch *fetch, const PipelineRoot *root, PipelineCommit *ret) {
        FetchTree *tree;

        if (!fetch->cache || root->kind == ROOT_SERVER || root->kind == ROOT_TEMPLATES)
                return -EUNATCH;
        int r = fetch_tree_open(fetch, root, &tree);
        if (r < 0)
                return r;
        *ret = (PipelineCommit){ .id = tree->commit, .version = tree->version };
        return 0;
}
