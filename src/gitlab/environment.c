/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads what GitLab Runner says in environment variables. gitlab/job.c calls this, and `run` for all of them. What
 * begins with CUSTOM_ENV_ is the job's own choice and never proves which job it is. */

#include "gitlab/environment.h"

#include <stdio.h>
#include <string.h>

#include "base/custom-executor.h"
#include "base/fd.h"
#include "base/string.h"

static const char *get(const char *name) {
        const char *value = getenv(name);
        return isempty(value) ? NULL : value;
}

const char *gitlab_response_file(void) {
        return get(JOB_RESPONSE_VARIABLE);
}

const char *gitlab_claimed_job_id(void) {
        return get(CUSTOM_ENV_PREFIX "CI_JOB_ID");
}

const char *gitlab_claimed_image(void) {
        return get(CUSTOM_ENV_PREFIX "CI_JOB_IMAGE");
}

const char *gitlab_claimed_builds_dir(void) {
        return get(CUSTOM_ENV_PREFIX "CI_BUILDS_DIR");
}

const char *gitlab_job_variable(const char *name) {
        char variable[128];

        return snprintf(variable, sizeof(variable), CUSTOM_ENV_PREFIX "%s", name) < (int) sizeof(variable) ?
                       get(variable) :
                       NULL;
}

int gitlab_job_variables(size_t max_bytes) {
        static const char prefix[] = CUSTOM_ENV_PREFIX;
        size_t size = 0;

        for (char **variable = environ; *variable; variable++)
                if (startswith(*variable, prefix))
                        size += strlen(*variable) - strlen(prefix) + 1;
        if (size == 0)
                return -ENOENT;
        if (size > max_bytes)
                return -EFBIG;
        char *text = malloc(size), *end = text;
        if (!text)
                return -ENOMEM;
        for (char **variable = environ; *variable; variable++)
                if (startswith(*variable, prefix))
                        end = stpcpy(end, *variable + strlen(prefix)) + 1;
        int fd = memfd_new_sealed("variables", text, size);
        explicit_bzero(text, size);
        free(text);
        return fd;
}

int gitlab_variables(NameTable *ret) {
        _cleanup_name_table_ NameTable table = { 0 };

        for (char **variable = environ; variable && *variable; variable++) {
                const char *name = startswith(*variable, CUSTOM_ENV_PREFIX);
                size_t n = name ? strcspn(name, "=") : 0;

                if (n == 0 || !name[n] || name_table_find(&table, name, n)) /* the first counts, as for getenv(3) */
                        continue;
                int r = name_table_set(&table, name, n, name + n + 1);
                if (r < 0)
                        return r;
        }
        *ret = table;
        table = (NameTable){ 0 };
        return 0;
}

static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

/* Finds the name of the variable that the text behind a '$' begins with. Returns where the name is, with its length
 * and, in *ret_length, the length of the whole reference with braces. If there is no name, that is 0, and the text
 * stays as it is. */
static const char *find_name(const char *text, size_t *ret_name_length, size_t *ret_length) {
        bool braces = text[0] == '{';
        const char *name = text + braces;
        size_t n = strspn(name, word);

        if (n == 0 || (braces && name[n] != '}'))
                n = braces = 0;
        *ret_name_length = n;
        *ret_length = n + (braces ? 2 : 0);
        return name;
}

/* What is put together. */
typedef struct Expanded {
        char *text;
        size_t size, room;
} Expanded;

static void expanded_done(Expanded *expanded) {
        free(expanded->text);
}

static int append(Expanded *expanded, const char *piece, size_t n) {
        if (n > GITLAB_EXPANDED_BYTES_MAX - expanded->size)
                return -E2BIG;
        if (expanded->size + n >= expanded->room) {
                size_t room = 2 * (expanded->size + n + 1);
                char *grown = realloc(expanded->text, room);

                if (!grown)
                        return -ENOMEM;
                expanded->text = grown;
                expanded->room = room;
        }
        memcpy(expanded->text + expanded->size, piece, n);
        expanded->size += n;
        expanded->text[expanded->size] = 0;
        return 0;
}

int gitlab_expand(const char *text, const NameTable *variables, char **ret) {
        _cleanup_(expanded_done) Expanded expanded = { 0 };

        if (strlen(text) > GITLAB_EXPANDED_BYTES_MAX)
                return -E2BIG;
        int r = append(&expanded, "", 0);
        if (r < 0)
                return r;
        for (const char *p = text; *p;) {
                size_t n = strcspn(p, "$"), name_length, length;

                r = append(&expanded, p, n);
                if (r < 0)
                        return r;
                p += n;
                if (!*p)
                        break;
                p++;
                const char *name = find_name(p, &name_length, &length);
                if (name_length == 0) {
                        r = append(&expanded, "$", 1);
                        if (r < 0)
                                return r;
                        p += *p == '$';
                        continue;
                }
                const char *value = name_table_find(variables, name, name_length);
                r = value ? append(&expanded, value, strlen(value)) : 0;
                if (r < 0)
                        return r;
                p += length;
        }
        *ret = TAKE_PTR(expanded.text);
        return 0;
}

int gitlab_expand_in_place(char **text, const NameTable *variables) {
        char *expanded;

        if (!*text || !strchr(*text, '$'))
                return 0;
        int r = gitlab_expand(*text, variables, &expanded);
        if (r < 0)
                return r == -E2BIG ? 0 : r;
        free(*text);
        *text = expanded;
        return 0;
}
