/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Writes the program that a service's container runs into a buffer, and reads it back. The supervisor writes, the agent
 * reads. The buffer has one text after the other, each with a NUL byte behind it; the number of its texts comes before
 * a list. Data of another form must be refused as a whole. */

#include "wire/service.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"

#define LISTS 3

void wire_service_done(WireService *service) {
        free(service->user);
        free(service->directory);
        strv_free(service->directories);
        strv_free(service->argv);
        strv_free(service->environment);
        *service = (WireService){ 0 };
}

static void put(FILE *file, const char *text) {
        fputs(text ? text : "", file);
        fputc(0, file);
}

static void put_list(FILE *file, char *const *list) {
        fprintf(file, "%zu", strv_length(list));
        fputc(0, file);
        for (; list && *list; list++)
                put(file, *list);
}

int wire_format_service(const WireService *service, char **ret, size_t *ret_size) {
        _cleanup_free_ char *data = NULL;
        size_t size = 0;

        FILE *file = open_memstream(&data, &size);
        if (!file)
                return -ENOMEM;
        put(file, service->user);
        put(file, service->directory);
        put_list(file, service->directories);
        put_list(file, service->argv);
        put_list(file, service->environment);
        bool failed = ferror(file);
        if (fclose(file) != 0 || failed)
                return -ENOMEM;
        *ret = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}

/* Returns the next text, or NULL. */
static const char *get(const char **data, const char *end) {
        const char *text = *data;
        const char *nul = text < end ? memchr(text, 0, (size_t) (end - text)) : NULL;

        if (!nul)
                return NULL;
        *data = nul + 1;
        return text;
}

static int get_text(const char **data, const char *end, char **ret) {
        const char *text = get(data, end);

        return text ? string_replace(ret, text) : -EBADMSG;
}

static int get_list(const char **data, const char *end, char ***ret) {
        const char *text = get(data, end);
        uint64_t n;

        if (!text || parse_uint64(text, &n) < 0 || n > (uint64_t) (end - *data))
                return -EBADMSG;
        char **list = calloc(n + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        *ret = list;
        for (uint64_t i = 0; i < n; i++) {
                int r = get_text(data, end, &list[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int wire_parse_service(const char *data, size_t size, WireService *ret) {
        _cleanup_wire_service_ WireService service = { 0 };
        char ***lists[LISTS] = { &service.directories, &service.argv, &service.environment };
        const char *end = data + size;

        int r = get_text(&data, end, &service.user);
        if (r < 0)
                return r;
        r = get_text(&data, end, &service.directory);
        if (r < 0)
                return r;
        for (size_t i = 0; i < LISTS; i++) {
                r = get_list(&data, end, lists[i]);
                if (r < 0)
                        return r;
        }
        if (data != end || !service.argv[0])
                return -EBADMSG;
        *ret = service;
        service = (WireService){ 0 };
        return 0;
}
