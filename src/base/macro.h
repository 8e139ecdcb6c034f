/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Cleanup by attribute: destructors run when the variable leaves its scope, accept NULL (or a negative
 * descriptor), and ownership leaves a variable only through TAKE_PTR() and TAKE_FD(). */
#define _cleanup_(f) __attribute__((cleanup(f), unused)) /* clang takes what is only cleaned up for unused */
#define _printf_(string, first) __attribute__((format(printf, string, first)))
#define _noinline_ __attribute__((noinline))
#define _unused_ __attribute__((unused))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
/* The text of a macro's value, for strings that say it. */
#define TEXT_OF(macro) TEXT_OF_EXPANDED(macro)
#define TEXT_OF_EXPANDED(value) #value

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* qsort(3) of an array; NULL is fine when there is nothing in it. */
#define SORT(items, n, compare)                                           \
        do {                                                              \
                if ((n) > 0)                                              \
                        qsort((items), (n), sizeof((items)[0]), compare); \
        } while (0)

#define TAKE_PTR(p)                      \
        ({                               \
                typeof(p) *_pp = &(p);   \
                typeof(p) _value = *_pp; \
                *_pp = NULL;             \
                _value;                  \
        })

#define TAKE_FD(fd)                 \
        ({                          \
                int *_pfd = &(fd);  \
                int _value = *_pfd; \
                *_pfd = -EBADF;     \
                _value;             \
        })

/* Defines freep-style destructor NAME_FUNCp for `_cleanup_(NAME_FUNCp) TYPE *variable`. */
#define DEFINE_CLEANUP(type, func)            \
        static inline void func##p(type *p) { \
                if (*p)                       \
                        func(*p);             \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}

#define _cleanup_free_ _cleanup_(freep)

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)
#define USEC_INFINITY UINT64_MAX
