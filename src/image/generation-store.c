/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The directory of one image's generations, for the files that change it: publish.c, generation-collect.c and
 * generation-settle.c. Callers must hold the image's staging lock. Two trees must never get the same number. */

#include "image/generation-store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/generation-json.h"

GenerationNumberText generation_number_text(uint64_t number) {
        GenerationNumberText text;

        snprintf(text.text, sizeof(text.text), "%" PRIu64, number);
        return text;
}

void generation_store_done(GenerationStore *store) {
        closep(&store->generations_fd);
        closep(&store->current_fd);
}
/* Returns the number in `<number>` or `<number>.json`; 0 for any other name. */
static uint64_t number_of_name(const char *name, bool *ret_json) {
        char copy[32];
        uint64_t number;
        const char *suffix = endswith(name, GENERATION_JSON_SUFFIX);
        size_t n = suffix ? (size_t) (suffix - name) : strlen(name);

        if (n >= sizeof(copy))
                return 0;
        memcpy(copy, name, n);
        copy[n] = 0;
        *ret_json = suffix;
        return parse_uint64(copy, &number) >= 0 && number <= INT64_MAX ? number : 0;
}

int generation_store_for_each(GenerationStore *store,
                              int (*visit)(GenerationStore *store, uint64_t number, bool json)) {
        _cleanup_closedir_ DIR *dir = directory_stream_of(store->generations_fd);
        if (!dir)
                return -errno;
        for (;;) {
                bool json;

                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                uint64_t number = number_of_name(entry->d_name, &json);
                int r = number == 0 ? 0 : visit(store, number, json);
                if (r < 0)
                        return r;
        }
}

static int note_highest(GenerationStore *store, uint64_t number, bool json _unused_) {
        store->highest = MAX(store->highest, number);
        return 0;
}

int generation_store_open(const char *root_dir, const char *name, int images_fd, bool create, GenerationStore *ret) {
        _cleanup_generation_store_ GenerationStore store = {
                .root_dir = root_dir,
                .name = name,
                .images_fd = images_fd,
                .generations_fd = -EBADF,
                .current_fd = -EBADF,
        };

        _cleanup_close_ int parent_fd = open_directory_at(images_fd, GENERATIONS_DIRECTORY, create, 0700);
        if (parent_fd < 0)
                return parent_fd;
        store.generations_fd = open_directory_at(parent_fd, name, create, 0700);
        if (store.generations_fd < 0)
                return store.generations_fd;
        store.current_fd = open_directory_at(images_fd, name, false, 0);
        if (store.current_fd < 0 && store.current_fd != -ENOENT)
                return store.current_fd;
        if (store.current_fd >= 0)
                store.current = image_generation(store.current_fd);
        store.highest = store.current;
        int r = generation_store_for_each(&store, note_highest);
        if (r < 0)
                return r;
        *ret = store;
        store.generations_fd = store.current_fd = -EBADF;
        return 0;
}

int generation_set_number(int tree_fd, uint64_t number) {
        GenerationNumberText text = generation_number_text(number);

        return fsetxattr(tree_fd, GENERATION_ATTRIBUTE, text.text, strlen(text.text), 0) < 0 ? -errno : 0;
}

bool generation_store_has_old(const GenerationStore *store, uint64_t number) {
        GenerationNumberText name = generation_number_text(number);
        _cleanup_close_ int fd = open_directory_at(store->generations_fd, name.text, false, 0);

        return fd >= 0 && image_generation(fd) == number;
}

int generation_store_adopt_current(GenerationStore *store) {
        if (store->current != 0 && !generation_store_has_old(store, store->current))
                return 0;
        Generation adopted = { .number = store->highest + 1, .published_usec = clock_realtime_usec() };
        int r = generation_save_at(store->generations_fd, &adopted);
        if (r < 0)
                return r;
        r = generation_set_number(store->current_fd, adopted.number);
        if (r < 0)
                return r;
        store->current = store->highest = adopted.number;
        return 0;
}

int generation_store_reserve_place(const GenerationStore *store) {
        GenerationNumberText text = generation_number_text(store->current);

        return mkdirat(store->generations_fd, text.text, 0700) < 0 && errno != EEXIST ? -errno : 0;
}
