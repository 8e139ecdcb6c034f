/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes and reads N.json, the file with what is known of a generation. Only publish.c and generation-store.c write it;
 * everybody may read it. A reader must find the file whole or not at all. */

#include "image/generation-json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/record.h"
#include "base/string.h"
#include "image/rename-settle.h"

#define FILE_BYTES_MAX ((size_t) 1024 * 1024)

#define FIELD(name, kind) \
        { #name, kind, offsetof(Generation, name) }
#define CONFIG_FIELD(name, kind) \
        { #name, kind, offsetof(Generation, config.name) }

static const RecordField fields[] = {
        FIELD(number, RECORD_NUMBER),
        FIELD(created_usec, RECORD_NUMBER),
        FIELD(updated_usec, RECORD_NUMBER),
        FIELD(published_usec, RECORD_NUMBER),
        FIELD(asked_usec, RECORD_NUMBER),
        FIELD(keep, RECORD_NUMBER),
        FIELD(size_bytes, RECORD_NUMBER),
        FIELD(source, RECORD_STRING),
        FIELD(digest, RECORD_STRING),
        FIELD(definition, RECORD_STRING),
        CONFIG_FIELD(env, RECORD_LIST),
        CONFIG_FIELD(working_dir, RECORD_STRING),
        CONFIG_FIELD(user, RECORD_STRING),
        CONFIG_FIELD(entrypoint, RECORD_LIST),
        CONFIG_FIELD(command, RECORD_LIST),
        CONFIG_FIELD(ports, RECORD_LIST),
        CONFIG_FIELD(volumes, RECORD_LIST),
        FIELD(has_command, RECORD_BOOL),
        { 0 },
};

void generation_free(Generation *generation) {
        if (!generation)
                return;
        free(generation->source);
        free(generation->digest);
        free(generation->definition);
        image_config_done(&generation->config);
        free(generation);
}

GenerationJsonName generation_json_name(uint64_t number) {
        GenerationJsonName name;

        snprintf(name.text, sizeof(name.text), "%" PRIu64 GENERATION_JSON_SUFFIX, number);
        return name;
}

int generation_json_path(const char *root_dir, const char *name, uint64_t number, char **ret) {
        return string_printf(ret, "%s/" GENERATIONS_DIRECTORY "/%s/%s", root_dir, name,
                             generation_json_name(number).text);
}

int generation_save_at(int dir_fd, const Generation *generation) {
        _cleanup_free_ char *text = NULL;

        int r = record_format(fields, generation, &text);
        if (r < 0)
                return r;
        GenerationJsonName name = generation_json_name(generation->number);
        return file_replace_at(dir_fd, name.text, text, strlen(text), 0600);
}

int generation_load_at(int dir_fd, uint64_t number, Generation **ret) {
        _cleanup_generation_ Generation *generation = calloc(1, sizeof(Generation));
        GenerationJsonName name = generation_json_name(number);
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (!generation)
                return -ENOMEM;
        int r = file_read_at(dir_fd, name.text, FILE_BYTES_MAX, &text, &size);
        if (r < 0)
                return r;
        r = record_parse(fields, text, size, generation);
        if (r < 0)
                return r;
        if (generation->number != number)
                return -EBADMSG;
        *ret = TAKE_PTR(generation);
        return 0;
}

int generation_load(const char *root_dir, const char *name, uint64_t number, Generation **ret) {
        _cleanup_free_ char *path = NULL;

        if (image_name_problem(name))
                return -EINVAL;
        int r = string_printf(&path, "%s/" GENERATIONS_DIRECTORY "/%s", root_dir, name);
        if (r < 0)
                return r;
        _cleanup_close_ int dir_fd = open_directory_at(AT_FDCWD, path, false, 0);
        return dir_fd < 0 ? dir_fd : generation_load_at(dir_fd, number, ret);
}

/* The name that the image has by now, by the place of its tree. *ret is to be freed. 0 or -errno. */
static int present_name(const Image *image, char **ret) {
        char link[64], path[PATH_MAX];
        const char *parts[3] = { NULL }; /* of the path, the last one first */

        snprintf(link, sizeof(link), "/proc/self/fd/%d", image->fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return -errno;
        path[n] = 0;
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                char *slash = strrchr(path, '/');
                if (!slash)
                        break;
                *slash = 0;
                parts[i] = slash + 1;
        }
        /* An old generation is in the directory of all generations of its image. */
        bool old = parts[2] && (streq(parts[2], GENERATIONS_DIRECTORY) || streq(parts[2], STAGING_DIRECTORY));
        const char *name = parts[old];
        if (!name || image_name_problem(name))
                return -ENOENT; /* it was removed, which somebody may do who finds it unlocked */
        *ret = strdup(name);
        return *ret ? 0 : -ENOMEM;
}

/* Reads the record of an image that was renamed since it was opened, or is being renamed. Returns as generation_load(). */
static int load_renamed(const Image *image, Generation **ret) {
        _cleanup_free_ char *name = NULL, *old_name = NULL;

        int r = present_name(image, &name);
        if (r < 0)
                return r;
        r = generation_load(image->root_dir, name, image->generation, ret);
        if (r != -ENOENT)
                return r;
        r = image_renamed_from(image->root_dir, name, &old_name);
        if (r == 0)
                r = generation_load(image->root_dir, old_name, image->generation, ret);
        if (r != -ENOENT)
                return r;
        /* The rename may have been completed meanwhile. */
        return generation_load(image->root_dir, name, image->generation, ret);
}

int generation_load_of(const Image *image, Generation **ret) {
        int r = -ENOENT;

        if (image->generation != 0)
                r = generation_load(image->root_dir, image->name, image->generation, ret);
        if (r == -ENOENT && image->generation != 0)
                r = load_renamed(image, ret);
        /* A copy that somebody made has a number, too. */
        if (r != -ENOENT)
                return r;
        Generation *unknown = calloc(1, sizeof(Generation));
        if (!unknown)
                return -ENOMEM;
        unknown->number = image->generation;
        *ret = unknown;
        return 0;
}
