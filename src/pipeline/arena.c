/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory of one evaluation of a pipeline, freed all at once. Everything in this folder allocates from here, and so do
 * callers that use a pipeline. No function here may return NULL: a configuration that needs too much memory is one
 * error, wherever it is noticed. */

#include "pipeline/arena.h"

#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES ((size_t) 256 * 1024)
#define ALIGNMENT _Alignof(max_align_t)
#define ALIGN(size) (((size) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))

struct ArenaBlock {
        ArenaBlock *next;
        max_align_t data[];
};

struct ArenaOwned {
        ArenaOwned *next;
        void *object;
        void (*destroy)(void *object);
};

void arena_init(Arena *arena, size_t max_bytes) {
        memset(arena, 0, sizeof(*arena));
        arena->max_bytes = max_bytes;
}

void arena_done(Arena *arena) {
        for (ArenaOwned *owned = arena->owned; owned; owned = owned->next)
                if (owned->destroy)
                        owned->destroy(owned->object);
        for (ArenaBlock *block = arena->blocks, *next; block; block = next) {
                next = block->next;
                free(block);
        }
        arena->blocks = NULL;
        arena->owned = NULL;
        arena->next = arena->end = NULL;
}

/* Makes room for @size bytes. A large object gets a block of its own, and the present block stays in use. */
static void *block_new(Arena *arena, size_t size) {
        size_t wanted = MAX(size, BLOCK_BYTES);

        if (wanted > arena->max_bytes - arena->used_bytes)
                longjmp(arena->exhausted, 1);
        ArenaBlock *block = calloc(1, sizeof(ArenaBlock) + wanted);
        if (!block)
                longjmp(arena->exhausted, 1);
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used_bytes += wanted;
        if (wanted - size >= (size_t) (arena->end - arena->next)) {
                arena->next = (char *) block->data + size;
                arena->end = (char *) block->data + wanted;
        }
        return block->data;
}

void *arena_alloc(Arena *arena, size_t size) {
        if (size > arena->max_bytes)
                longjmp(arena->exhausted, 1);
        size = ALIGN(MAX(size, (size_t) 1));
        if (!arena->next || size > (size_t) (arena->end - arena->next))
                return block_new(arena, size);
        void *p = arena->next;
        arena->next += size;
        return p;
}

char *arena_copy(Arena *arena, const char *text, size_t size) {
        char *copy = arena_alloc(arena, size + 1);

        if (size > 0)
                memcpy(copy, text, size);
        return copy;
}

char *arena_string(Arena *arena, const char *text) {
        return arena_copy(arena, text, strlen(text));
}

char *arena_vprintf(Arena *arena, const char *format, va_list ap) {
        va_list again;

        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, format, again);
        va_end(again);
        char *text = arena_alloc(arena, (size_t) MAX(n, 0) + 1);
        vsnprintf(text, (size_t) MAX(n, 0) + 1, format, ap);
        return text;
}

char *arena_printf(Arena *arena, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        char *text = arena_vprintf(arena, format, ap);
        va_end(ap);
        return text;
}

ArenaOwned *arena_slot(Arena *arena) {
        ArenaOwned *owned = arena_new(arena, ArenaOwned);

        owned->next = arena->owned;
        arena->owned = owned;
        return owned;
}

void arena_fill(ArenaOwned *slot, void *object, void (*destroy)(void *object)) {
        slot->object = object;
        slot->destroy = destroy;
}

void *arena_grow(Arena *arena, const void *items, size_t n, size_t item_size) {
        if (n > 0 && (n < 4 || (n & (n - 1)) != 0))
                return (void *) items;
        void *grown = arena_alloc(arena, MAX(2 * n, (size_t) 4) * item_size);
        if (n > 0)
                memcpy(grown, items, n * item_size);
        return grown;
}

void text_add(Text *text, const char *data, size_t size) {
        if (text->size + size + 1 > text->allocated) {
                size_t allocated = MAX(2 * text->allocated, text->size + size + 64);
                char *grown = arena_alloc(text->arena, allocated);

                if (text->size > 0)
                        memcpy(grown, text->data, text->size);
                text->data = grown;
                text->allocated = allocated;
        }
        if (size > 0)
                memcpy(text->data + text->size, data, size);
        text->size += size;
        text->data[text->size] = 0;
}

void text_add_string(Text *text, const char *string) {
        text_add(text, string, strlen(string));
}

void text_printf(Text *text, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        text_add_string(text, arena_vprintf(text->arena, format, ap));
        va_end(ap);
}

const char *text_get(const Text *text) {
        return text->data ? text->data : "";
}
