/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The variables that GitLab predefines, with values that make sense here. Called by the command `exec` before the
 * evaluation. It must not make up what only a server can know (ids, tokens, URLs of pipelines). */

#include "project/predefined.h"

#include "base/string.h"
#include "project/remote.h"

#define NO_COMMIT "0000000000000000000000000000000000000000"
#define SHORT_BYTES 8
#define LONG_TITLE 100 /* with a title of this length or more, the description is the whole message */

static void set(Variables *variables, const char *key, const char *value) {
        if (value)
                variables_set_text(variables, key, arena_string(variables->arena, value));
}

/* Makes text lower case, as Docker's names must be. */
static const char *lower(Arena *arena, const char *text) {
        char *copy = arena_string(arena, text);

        for (char *p = copy; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char) (*p - 'A' + 'a');
        return copy;
}

static void set_dependency_proxy(Variables *variables, const char *server, const char *namespace, const char *root) {
        Arena *arena = variables->arena;
        static const char suffix[] = "dependency_proxy/containers";

        set(variables, "CI_DEPENDENCY_PROXY_SERVER", server);
        set(variables, "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX",
            arena_printf(arena, "%s/%s/%s", server, lower(arena, root), suffix));
        set(variables, "CI_DEPENDENCY_PROXY_DIRECT_GROUP_IMAGE_PREFIX",
            arena_printf(arena, "%s/%s/%s", server, lower(arena, namespace), suffix));
}

static void set_project(const Checkout *checkout, const Occasion *occasion, Variables *variables,
                        PipelineRequest *request) {
        Arena *arena = variables->arena;
        const char *directory = strrchr(checkout->top, '/');
        Remote remote = remote_parse(arena,
                                     checkout->remote ?
                                             checkout->remote :
                                             arena_printf(arena, "https://gitlab.example.com/local/%s",
                                                          directory && directory[1] ? directory + 1 : "project"),
                                     occasion->server);
        const char *name = strrchr(remote.path, '/'), *top = strchr(remote.path, '/');
        const char *fqdn = remote.fqdn;
        const char *url = arena_printf(arena, "%s://%s", remote.protocol, fqdn);

        request->host = fqdn;
        request->project_path = remote.path;
        name = name ? name + 1 : remote.path;
        set(variables, "CI_SERVER_URL", url);
        set(variables, "CI_SERVER_HOST", remote.host);
        set(variables, "CI_SERVER_FQDN", fqdn);
        set(variables, "CI_SERVER_PORT", remote.port);
        set(variables, "CI_SERVER_PROTOCOL", remote.protocol);
        set(variables, "CI_SERVER_NAME", "GitLab");
        set(variables, "CI_SERVER_SHELL_SSH_HOST", remote.host);
        set(variables, "CI_SERVER_SHELL_SSH_PORT", "22");
        set(variables, "CI_TEMPLATE_REGISTRY_HOST", "registry.gitlab.com");
        set(variables, "CI_API_V4_URL", arena_printf(arena, "%s/api/v4", url));
        set(variables, "CI_API_GRAPHQL_URL", arena_printf(arena, "%s/api/graphql", url));
        set(variables, "CI_PROJECT_ID", "1");
        set(variables, "CI_PROJECT_NAME", name);
        set(variables, "CI_PROJECT_TITLE", name);
        set(variables, "CI_PROJECT_DESCRIPTION", "");
        set(variables, "CI_PROJECT_PATH", remote.path);
        set(variables, "CI_PROJECT_PATH_SLUG", variable_slug(arena, remote.path));
        const char *namespace = name > remote.path ? arena_copy(arena, remote.path, (size_t) (name - remote.path - 1)) :
                                                     "";
        const char *root = top ? arena_copy(arena, remote.path, (size_t) (top - remote.path)) : "";
        set(variables, "CI_PROJECT_NAMESPACE", namespace);
        set(variables, "CI_PROJECT_NAMESPACE_SLUG", variable_slug(arena, namespace));
        set(variables, "CI_PROJECT_NAMESPACE_ID", "1");
        set(variables, "CI_PROJECT_ROOT_NAMESPACE", root);
        set_dependency_proxy(variables, arena_copy(arena, fqdn, strcspn(fqdn, "/")), namespace, root);
        set(variables, "CI_PROJECT_URL", arena_printf(arena, "%s/%s", url, remote.path));
        set(variables, "CI_PROJECT_VISIBILITY", "private");
        set(variables, "CI_PROJECT_REPOSITORY_LANGUAGES", "");
        set(variables, "CI_PROJECT_CLASSIFICATION_LABEL", "");
        set(variables, "CI_DEFAULT_BRANCH", checkout->default_branch);
}

static void set_commit(const Checkout *checkout, Variables *variables) {
        Arena *arena = variables->arena;
        const char *message = checkout->message ? checkout->message : "";
        const char *title = arena_copy(arena, message, strcspn(message, "\r\n"));
        const char *body = strchr(message, '\n'), *description = body ? body + 1 : "";
        size_t n = strlen(description);

        if (!message[strspn(message, " \t\r\n")])
                title = description = "No commit message";
        else if (strlen(title) >= LONG_TITLE)
                description = message;
        else if (n > 0 && description[n - 1] == '\n')
                description = arena_copy(arena, description, n - 1);
        set(variables, "CI_COMMIT_SHA", checkout->commit ? checkout->commit : NO_COMMIT);
        set(variables, "CI_COMMIT_SHORT_SHA",
            arena_copy(arena, checkout->commit ? checkout->commit : NO_COMMIT, SHORT_BYTES));
        set(variables, "CI_COMMIT_MESSAGE", message);
        set(variables, "CI_COMMIT_TITLE", title);
        set(variables, "CI_COMMIT_DESCRIPTION", description);
        set(variables, "CI_COMMIT_MESSAGE_IS_TRUNCATED", "false");
        if (checkout->author_name && checkout->author_email)
                set(variables, "CI_COMMIT_AUTHOR",
                    arena_printf(arena, "%s <%s>", checkout->author_name, checkout->author_email));
        set(variables, "CI_COMMIT_TIMESTAMP", checkout->commit_date);
        set(variables, "CI_COMMIT_REF_PROTECTED", "false");
}

/* Sets the variables of a merge request that nobody has opened yet: without labels, milestone and assignees. */
static void set_merge_request(const Checkout *checkout, const PipelineRequest *request, Variables *variables) {
        const char *url = variables_get(variables, "CI_PROJECT_URL");

        set(variables, "CI_MERGE_REQUEST_ID", "1");
        set(variables, "CI_MERGE_REQUEST_IID", "1");
        set(variables, "CI_MERGE_REQUEST_EVENT_TYPE", "detached");
        set(variables, "CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/1/head");
        set(variables, "CI_MERGE_REQUEST_PROJECT_ID", "1");
        set(variables, "CI_MERGE_REQUEST_PROJECT_PATH", request->project_path);
        set(variables, "CI_MERGE_REQUEST_PROJECT_URL", url);
        set(variables, "CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "1");
        set(variables, "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", request->project_path);
        set(variables, "CI_MERGE_REQUEST_SOURCE_PROJECT_URL", url);
        set(variables, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", request->ref);
        set(variables, "CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED", "false");
        set(variables, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "");
        set(variables, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", checkout->default_branch);
        set(variables, "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED", "true");
        set(variables, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "");
        set(variables, "CI_MERGE_REQUEST_TITLE", variables_get(variables, "CI_COMMIT_TITLE"));
        set(variables, "CI_MERGE_REQUEST_DESCRIPTION", "");
        set(variables, "CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED", "false");
        set(variables, "CI_MERGE_REQUEST_DRAFT", "false");
        set(variables, "CI_MERGE_REQUEST_SQUASH_ON_MERGE", "false");
}

/* Which commit a merge request is compared with: the one that rules compare with. */
static int set_diff_base(const Checkout *checkout, Variables *variables) {
        _cleanup_free_ char *base = NULL;

        int r = checkout_find_base(checkout, &base);
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        set(variables, "CI_MERGE_REQUEST_DIFF_ID", "1");
        set(variables, "CI_MERGE_REQUEST_DIFF_BASE_SHA", base);
        return 0;
}

/* Sets which branch or tag the pipeline is for. */
static int set_ref(const Checkout *checkout, const Occasion *occasion, Variables *variables, PipelineRequest *request) {
        bool tag = streq(occasion->source, "tag"), merge_request = streq(occasion->source, "merge_request_event");
        const char *ref = occasion->ref ? occasion->ref : tag ? checkout->tag : checkout->branch;

        request->is_tag = tag || (occasion->ref && !merge_request && checkout_has_tag(checkout, occasion->ref));
        if (tag && !ref)
                return -ENOENT;
        if (!ref && checkout->tag && !merge_request) {
                ref = checkout->tag; /* a tag was checked out, and no branch */
                request->is_tag = true;
        }
        request->source = tag ? "push" : occasion->source;
        request->ref = arena_string(variables->arena, ref ? ref : checkout->default_branch);
        set(variables, "CI_PIPELINE_SOURCE", request->source);
        set(variables, "CI_COMMIT_REF_NAME", request->ref);
        set(variables, "CI_COMMIT_REF_SLUG", variable_slug(variables->arena, request->ref));
        if (request->is_tag) {
                set(variables, "CI_COMMIT_TAG", request->ref);
                set(variables, "CI_COMMIT_TAG_MESSAGE", "");
        } else if (!merge_request)
                set(variables, "CI_COMMIT_BRANCH", request->ref);
        bool push = streq(request->source, "push") && !request->is_tag && checkout->parent;
        set(variables, "CI_COMMIT_BEFORE_SHA", push ? checkout->parent : NO_COMMIT);
        return 0;
}

int predefined_fill(const Checkout *checkout, const Occasion *occasion, Variables *variables,
                    PipelineRequest *request) {
        set(variables, "CI", "true");
        set(variables, "GITLAB_CI", "true");
        set(variables, "NSPAWN_RUNNER_EXEC", "true");
        set(variables, "CI_PIPELINE_IID", "1");
        set(variables, "CI_CONFIG_PATH", occasion->file);
        set_project(checkout, occasion, variables, request);
        set_commit(checkout, variables);
        int r = set_ref(checkout, occasion, variables, request);
        if (r < 0)
                return r;
        if (!streq(request->source, "merge_request_event"))
                return 0;
        set_merge_request(checkout, request, variables);
        return set_diff_base(checkout, variables);
}

void predefined_fill_user(const Checkout *checkout, Variables *variables) {
        const char *email = checkout->user_email ? checkout->user_email : checkout->author_email;

        set(variables, "GITLAB_USER_ID", "1");
        set(variables, "GITLAB_USER_NAME", checkout->user_name ? checkout->user_name : checkout->author_name);
        set(variables, "GITLAB_USER_EMAIL", email);
        if (email)
                set(variables, "GITLAB_USER_LOGIN", arena_copy(variables->arena, email, strcspn(email, "@")));
}
