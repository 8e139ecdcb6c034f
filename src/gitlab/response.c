/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gitlab/response.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/string.h"

/* Variables of a job can have megabytes each. */
#define RESPONSE_MAX_BYTES (256 * 1024 * 1024)

void response_done(JobResponse *response) {
        if (response->token)
                explicit_bzero(response->token, strlen(response->token));
        free(response->token);
        free(response->image);
        free(response->repository);
        *response = (JobResponse){ 0 };
}

static int copy_string(const json_t *object, const char *key, char **ret) {
        const char *value = json_string_value(json_object_get(object, key));

        if (isempty(value))
                return 0;
        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}

static uint64_t get_number(const json_t *object, const char *key) {
        json_int_t value = json_integer_value(json_object_get(object, key));
        return value > 0 ? (uint64_t) value : 0;
}

/* "https://user:password@host/path" becomes "https://host/path", in place. */
static void strip_credentials(char *url) {
        char *host = strstr(url, "://");

        if (!host)
                return;
        host += 3;
        char *path = strchrnul(host, '/');
        char *at = memrchr(host, '@', (size_t) (path - host));
        if (at)
                memmove(host, at + 1, strlen(at + 1) + 1);
}

int response_parse(const char *data, size_t size, JobResponse *ret, char ret_problem[static 256]) {
        _cleanup_response_ JobResponse response = { 0 };
        json_error_t error;

        json_auto_t *root = json_loadb(data, size, JSON_ALLOW_NUL, &error);
        if (!root) {
                /* Not error.text: it quotes the file, which holds secrets. */
                snprintf(ret_problem, 256, "not valid JSON at line %d, column %d", error.line, error.column);
                return -EBADMSG;
        }
        const json_t *id = json_object_get(root, "id");
        if (!json_is_object(root) || !json_is_integer(id) || json_integer_value(id) <= 0) {
                snprintf(ret_problem, 256, "it has no positive number \"id\"");
                return -EBADMSG;
        }
        /* Taken for "no image", another one than the job's would run it. */
        const json_t *image = json_object_get(root, "image"), *name = json_object_get(image, "name");
        if ((image && !json_is_object(image) && !json_is_null(image)) ||
            (name && !json_is_string(name) && !json_is_null(name))) {
                snprintf(ret_problem, 256, "its \"image\" is not an object with a \"name\"");
                return -EBADMSG;
        }
        response.id = (uint64_t) json_integer_value(id);
        response.n_services = json_array_size(json_object_get(root, "services"));
        response.project_id = get_number(json_object_get(root, "job_info"), "project_id");
        response.timeout_sec = get_number(json_object_get(root, "runner_info"), "timeout");

        int r = copy_string(root, "token", &response.token);
        if (r >= 0)
                r = copy_string(image, "name", &response.image);
        if (r >= 0)
                r = copy_string(json_object_get(root, "git_info"), "repo_url", &response.repository);
        if (r < 0)
                return r;
        if (response.repository)
                strip_credentials(response.repository);
        *ret = response;
        response = (JobResponse){ 0 };
        return 0;
}

int response_read(const char *path, JobResponse *ret, char ret_problem[static 256]) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        int r = file_read_at(AT_FDCWD, path, RESPONSE_MAX_BYTES, &data, &size);
        if (r < 0)
                return r;
        r = response_parse(data, size, ret, ret_problem);
        explicit_bzero(data, size);
        return r;
}
