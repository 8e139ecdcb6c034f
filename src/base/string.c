/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Strings, NULL-terminated lists of strings, numbers in text, and "did you mean" for names. Works on memory only: no
 * files, no system calls. */

#include "base/string.h"

#include <stdio.h>

const char *endswith(const char *s, const char *suffix) {
        size_t n = strlen(s), m = strlen(suffix);
        return n >= m && streq(s + n - m, suffix) ? s + n - m : NULL;
}

void strv_free(char **v) {
        if (!v)
                return;
        for (char **p = v; *p; p++)
                free(*p);
        free(v);
}

size_t strv_length(char *const *v) {
        size_t n = 0;
        while (v && v[n])
                n++;
        return n;
}

/* Takes ownership of @s in every case. */
static int strv_consume(char ***v, char *s) {
        size_t n = strv_length(*v);
        char **grown = reallocarray(*v, n + 2, sizeof(char *));

        if (!grown) {
                free(s);
                return -ENOMEM;
        }
        grown[n] = s;
        grown[n + 1] = NULL;
        *v = grown;
        return 0;
}

int strv_extend(char ***v, const char *s) {
        char *copy = strdup(s);
        return copy ? strv_consume(v, copy) : -ENOMEM;
}

int strv_extendf(char ***v, const char *format, ...) {
        char *s = NULL;
        va_list ap;

        va_start(ap, format);
        int r = string_vprintf(&s, format, ap);
        va_end(ap);
        return r < 0 ? r : strv_consume(v, s);
}

int strv_extend_strv(char ***v, char *const *strings) {
        size_t n = strv_length(*v), n_more = strv_length(strings);

        if (n_more == 0)
                return 0;
        char **grown = reallocarray(*v, n + n_more + 1, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        *v = grown;
        for (; *strings; strings++) {
                grown[n] = strdup(*strings);
                if (!grown[n])
                        return -ENOMEM;
                grown[++n] = NULL;
        }
        return 0;
}

int strv_set_variable(char ***v, const char *assignment) {
        const size_t length = strcspn(assignment, "=") + 1;

        for (char **variable = *v; variable && *variable; variable++)
                if (strncmp(*variable, assignment, length) == 0)
                        return string_replace(variable, assignment);
        return strv_extend(v, assignment);
}

/* Takes ownership of @s in every case. */
static int list_consume(StringList *list, char *s) {
        if (list->n == list->n_max) {
                size_t n_max = MAX(2 * list->n_max, (size_t) 16);
                char **grown = reallocarray(list->strings, n_max + 1, sizeof(char *));

                if (!grown) {
                        free(s);
                        return -ENOMEM;
                }
                list->strings = grown;
                list->n_max = n_max;
        }
        list->strings[list->n++] = s;
        list->strings[list->n] = NULL;
        return 0;
}

int string_list_add(StringList *list, const char *s) {
        char *copy = strdup(s);
        return copy ? list_consume(list, copy) : -ENOMEM;
}

int string_list_addf(StringList *list, const char *format, ...) {
        char *s = NULL;
        va_list ap;

        va_start(ap, format);
        int r = string_vprintf(&s, format, ap);
        va_end(ap);
        return r < 0 ? r : list_consume(list, s);
}

char **string_list_take(StringList *list) {
        char **strings = list->strings;

        *list = (StringList){ 0 };
        return strings;
}

void string_list_done(StringList *list) {
        strv_free(string_list_take(list));
}

const char *strv_value(char *const *v, const char *name) {
        const size_t n = strlen(name);
        const char *value = NULL;

        for (; v && *v; v++)
                if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
                        value = *v + n + 1;
        return value;
}

int strv_copy(char *const *v, char ***ret) {
        _cleanup_strv_ char **copy = NULL;

        int r = strv_extend_strv(&copy, v);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(copy);
        return 0;
}

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void strv_sort(char **v) {
        if (v && *v)
                qsort(v, strv_length(v), sizeof(char *), compare_strings);
}

void strv_sort_unique(char **v) {
        size_t kept = 0;

        if (!v || !*v)
                return;
        strv_sort(v);
        for (size_t i = 0; v[i]; i++) {
                if (kept > 0 && streq(v[kept - 1], v[i]))
                        free(v[i]);
                else
                        v[kept++] = v[i];
        }
        v[kept] = NULL;
}

int string_vprintf(char **ret, const char *format, va_list ap) {
        char *s;

        if (vasprintf(&s, format, ap) < 0)
                return -ENOMEM;
        *ret = s;
        return 0;
}

int string_printf(char **ret, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        int r = string_vprintf(ret, format, ap);
        va_end(ap);
        return r;
}

int string_append(char **text, const char *separator, const char *format, ...) {
        _cleanup_free_ char *piece = NULL, *longer = NULL;
        va_list ap;

        va_start(ap, format);
        int r = string_vprintf(&piece, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        if (*text) {
                r = string_printf(&longer, "%s%s%s", *text, separator, piece);
                if (r < 0)
                        return r;
                free(*text);
        }
        *text = longer ? TAKE_PTR(longer) : TAKE_PTR(piece);
        return 0;
}

int string_replace(char **target, const char *s) {
        char *copy = NULL;

        if (s && !(copy = strdup(s)))
                return -ENOMEM;
        free(*target);
        *target = copy;
        return 0;
}

int parse_uint64(const char *s, uint64_t *ret) {
        uint64_t value = 0;

        if (isempty(s))
                return -EINVAL;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t) (*s - '0'), &value))
                        return -ERANGE;
        }
        *ret = value;
        return 0;
}

size_t edit_distance(const char *a, const char *b) {
        size_t n = strlen(b);
        _cleanup_free_ size_t *row = malloc((n + 1) * sizeof(size_t));

        if (!row)
                return SIZE_MAX;
        for (size_t j = 0; j <= n; j++)
                row[j] = j;
        for (size_t i = 1; a[i - 1]; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= n; j++) {
                        size_t replace = diagonal + (a[i - 1] != b[j - 1]);

                        diagonal = row[j];
                        row[j] = MIN(replace, MIN(row[j], row[j - 1]) + 1);
                }
        }
        return row[n];
}

int nearest_name(const char *typed, const char *(*name)(const void *userdata, size_t i), const void *userdata) {
        size_t length = strlen(typed), best = SIZE_MAX;
        int found = -1;

        /* Nobody means a name by something this long, and the distance costs length times length. */
        if (length > 64)
                return -1;
        for (size_t i = 0;; i++) {
                const char *candidate = name(userdata, i);
                if (!candidate)
                        break;

                size_t distance = edit_distance(typed, candidate);
                /* A prefix of four or more letters counts as near: "maint" means "maintenance". */
                if (length >= 4 && startswith(candidate, typed))
                        distance = 1;
                if (distance < best) {
                        best = distance;
                        found = (int) i;
                }
        }
        /* Two edits make any name of two letters of any other. */
        return best <= MAX(length / 3, (size_t) 2) && best < length ? found : -1;
}

bool path_is_plain(const char *path) {
        for (const char *part = path;;) {
                size_t n = strcspn(part, "/");

                if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
                        return false;
                if (part[n] == 0)
                        return true;
                part += n + 1;
        }
}

bool path_is_below(const char *inner, const char *outer) {
        const char *rest = startswith(inner, outer);

        return rest && *rest && (*rest == '/' || streq(outer, "/"));
}

const char *format_bytes(uint64_t bytes, char ret[static FORMAT_BYTES_MAX]) {
        static const char units[] = "BKMGTPE";
        double value = (double) bytes;
        size_t unit = 0;

        while (value >= 1024 && unit + 2 < sizeof(units)) {
                value /= 1024;
                unit++;
        }
        snprintf(ret, FORMAT_BYTES_MAX, unit > 0 && value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
        return ret;
}
