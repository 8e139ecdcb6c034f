/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads what the configuration of an OCI image says about the programs that run in it. source-oci.c calls this for a
 * layout that skopeo fetched. The text is not trusted: it is limited in size, and no path in it may lead out of the
 * layout. */

#include "source/oci-config.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

#define BLOB_MAX_BYTES ((size_t) 4 * 1024 * 1024) /* the limit of registries for manifests */

/* Half of what fits into a message to the agent; the other half is for variables of the step itself. */
#define ENV_MAX_STRINGS 128
#define ENV_MAX_BYTES ((size_t) 32 * 1024)

/* Images with more ports or volumes make no sense, and are refused. */
#define KEYS_MAX 128

static int parse_env(const json_t *array, char ***ret) {
        _cleanup_strv_ char **env = NULL;
        size_t bytes = 0;

        for (size_t i = 0; i < json_array_size(array); i++) {
                const char *item = json_string_value(json_array_get(array, i));
                if (!item)
                        return -EBADMSG;
                /* A variable without a name cannot be set. */
                if (*item == '=' || !strchr(item, '='))
                        continue;
                bytes += strlen(item) + 1;
                if (bytes > ENV_MAX_BYTES || strv_length(env) >= ENV_MAX_STRINGS)
                        return -E2BIG;
                int r = strv_extend(&env, item);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(env);
        return 0;
}

static int parse_string(const json_t *json, char **ret) {
        if (!json || json_is_null(json))
                return 0;
        if (!json_is_string(json))
                return -EBADMSG;
        return isempty(json_string_value(json)) ? 0 : string_replace(ret, json_string_value(json));
}

static int parse_working_dir(const json_t *json, char **ret) {
        _cleanup_free_ char *directory = NULL;

        int r = parse_string(json, &directory);
        if (r < 0 || !directory)
                return r;
        if (*directory != '/')
                return string_printf(ret, "/%s", directory);
        *ret = TAKE_PTR(directory);
        return 0;
}

/* Reads a list of arguments. */
static int parse_arguments(const json_t *array, char ***ret) {
        _cleanup_strv_ char **arguments = NULL;
        size_t bytes = 0;

        if (!array || json_is_null(array))
                return 0;
        if (!json_is_array(array))
                return -EBADMSG;
        for (size_t i = 0; i < json_array_size(array); i++) {
                const char *item = json_string_value(json_array_get(array, i));

                if (!item)
                        return -EBADMSG;
                bytes += strlen(item) + 1;
                if (bytes > ENV_MAX_BYTES || strv_length(arguments) >= ENV_MAX_STRINGS)
                        return -E2BIG;
                int r = strv_extend(&arguments, item);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(arguments);
        return 0;
}

/* Adds the port of "5432/tcp" or "5432". Other protocols, and ranges, are left out. */
static int add_port(const char *key, char ***ports) {
        size_t n = strspn(key, "0123456789");
        char number[8];
        uint64_t port;

        if (n == 0 || n >= sizeof(number) || (key[n] && !streq(key + n, "/tcp")))
                return 0;
        snprintf(number, sizeof(number), "%.*s", (int) n, key);
        if (parse_uint64(number, &port) < 0 || port == 0 || port > UINT16_MAX)
                return 0;
        return strv_extendf(ports, "%u", (unsigned) port);
}

static int add_volume(const char *key, char ***volumes) {
        return *key == '/' ? strv_extend(volumes, key) : 0;
}

/* Reads the keys of an object. The values mean nothing: this is how the configuration writes sets. */
static int parse_keys(json_t *object, int (*add)(const char *key, char ***list), char ***ret) {
        _cleanup_strv_ char **list = NULL;
        const char *key;
        json_t *value;

        if (!object || json_is_null(object))
                return 0;
        if (!json_is_object(object))
                return -EBADMSG;
        if (json_object_size(object) > KEYS_MAX)
                return -E2BIG;
        json_object_foreach (object, key, value) {
                int r = add(key, &list);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

/* Reads what only services need. */
static int parse_service(const json_t *json, ImageConfig *config) {
        int r = parse_arguments(json_object_get(json, "Entrypoint"), &config->entrypoint);
        if (r < 0)
                return r;
        r = parse_arguments(json_object_get(json, "Cmd"), &config->command);
        if (r < 0)
                return r;
        r = parse_keys(json_object_get(json, "ExposedPorts"), add_port, &config->ports);
        return r < 0 ? r : parse_keys(json_object_get(json, "Volumes"), add_volume, &config->volumes);
}

int oci_config_parse(const char *data, size_t size, ImageConfig *ret) {
        _cleanup_image_config_ ImageConfig config = { 0 };
        json_auto_t *root = json_loadb(data, size, 0, NULL);

        if (!json_is_object(root))
                return -EBADMSG;
        const json_t *json = json_object_get(root, "config");
        if (json && !json_is_null(json) && !json_is_object(json))
                return -EBADMSG;
        const json_t *env = json_object_get(json, "Env");
        if (env && !json_is_null(env) && !json_is_array(env))
                return -EBADMSG;

        int r = parse_env(env, &config.env);
        if (r < 0)
                return r;
        r = parse_working_dir(json_object_get(json, "WorkingDir"), &config.working_dir);
        if (r < 0)
                return r;
        r = parse_string(json_object_get(json, "User"), &config.user);
        if (r < 0)
                return r;
        r = parse_service(json, &config);
        if (r < 0)
                return r;
        *ret = config;
        config = (ImageConfig){ 0 };
        return 0;
}

/* Reads the blob that @descriptor describes, from blobs/ALGORITHM/DIGITS. */
static int read_blob(int layout_fd, const json_t *descriptor, char **ret, size_t *ret_size) {
        const char *digest = json_string_value(json_object_get(descriptor, "digest"));
        _cleanup_free_ char *path = NULL;

        size_t n = digest ? strspn(digest, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;
        if (n == 0 || digest[n] != ':' || strspn(digest + n + 1, "0123456789abcdef") != strlen(digest + n + 1))
                return -EBADMSG;
        int r = string_printf(&path, "blobs/%.*s/%s", (int) n, digest, digest + n + 1);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open_in_root(layout_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        return fd < 0 ? fd : fd_read_all(fd, BLOB_MAX_BYTES, ret, ret_size);
}

int oci_layout_config(int layout_fd, ImageConfig *ret) {
        _cleanup_free_ char *index_text = NULL, *manifest_text = NULL, *config_text = NULL;
        json_auto_t *index = NULL, *manifest = NULL;
        size_t size;

        int r = file_read_at(layout_fd, "index.json", BLOB_MAX_BYTES, &index_text, &size);
        if (r < 0)
                return r;
        index = json_loadb(index_text, size, 0, NULL);
        r = read_blob(layout_fd, json_array_get(json_object_get(index, "manifests"), 0), &manifest_text, &size);
        if (r < 0)
                return r;
        manifest = json_loadb(manifest_text, size, 0, NULL);
        r = read_blob(layout_fd, json_object_get(manifest, "config"), &config_text, &size);
        return r < 0 ? r : oci_config_parse(config_text, size, ret);
}
