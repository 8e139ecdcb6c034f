/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <setjmp.h>
#include <stdarg.h>

#include "base/macro.h"

/* Memory that is freed all at once. One evaluation makes hundreds of thousands of small objects that refer to each other
 * and end together; none of them is freed by itself.
 *
 * An allocation never fails: when @max_bytes are used up or the system has no more, it jumps to @exhausted. So functions
 * that take an arena hold nothing that only they could free; what needs a destructor is given to a slot. */
typedef struct ArenaBlock ArenaBlock;
typedef struct ArenaOwned ArenaOwned;

typedef struct Arena {
        ArenaBlock *blocks;
        ArenaOwned *owned;
        char *next, *end;
        size_t used_bytes, max_bytes;
        jmp_buf exhausted; /* where setjmp() must have been called before anything is allocated */
} Arena;

/* Makes an empty arena that never holds more than @max_bytes. Allocates nothing and cannot fail. The caller calls
 * setjmp(arena->exhausted) before the first allocation, and arena_done() at the end, also after a jump. */
void arena_init(Arena *arena, size_t max_bytes);
/* Calls the destructors, the latest first, and frees everything. */
void arena_done(Arena *arena);
#define _cleanup_arena_ _cleanup_(arena_done)

/* Returns @size bytes of zeroed memory, aligned for any type. */
void *arena_alloc(Arena *arena, size_t size);
#define arena_new(arena, type) ((type *) arena_alloc((arena), sizeof(type)))

/* These copy or format text into the arena, with a NUL byte at its end. */
char *arena_copy(Arena *arena, const char *text, size_t size);
char *arena_string(Arena *arena, const char *text);
char *arena_printf(Arena *arena, const char *format, ...) _printf_(2, 3);
char *arena_vprintf(Arena *arena, const char *format, va_list ap) _printf_(2, 0);

/* A slot holds an object that needs a destructor. Allocate the slot first, because an allocation that jumps would lose
 * the object; then make the object, and fill the slot: arena_done() calls @destroy. */
ArenaOwned *arena_slot(Arena *arena);
void arena_fill(ArenaOwned *slot, void *object, void (*destroy)(void *object));

/* Makes room for one more item behind the @n items at @items. Returns where the items are now. */
void *arena_grow(Arena *arena, const void *items, size_t n, size_t item_size);
#define ARENA_APPEND(arena, items, n, item) \
        ((items) = arena_grow((arena), (items), (n), sizeof(*(items))), (items)[(n)++] = (item))

/* Text that is put together piece by piece; always terminated once something was added. */
typedef struct Text {
        Arena *arena;
        char *data;
        size_t size, allocated;
} Text;

/* Appends @size bytes. @text->arena must be set; everything else in a new Text is zero. Memory that a growing text
 * leaves stays in the arena until its end. */
void text_add(Text *text, const char *data, size_t size);
void text_add_string(Text *text, const char *string);
void text_printf(Text *text, const char *format, ...) _printf_(2, 3);
/* Returns the text so far, "" if nothing was added. Valid until the next change of @text. */
const char *text_get(const Text *text);
