/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads what a job wrote for the jobs after it: files of the report "dotenv". local/artifacts.c calls this when a job
 * gets its variables. A job made the files, so anything may be in them: GitLab's limits of size, number and names must
 * hold, and no value may be expanded here. */

#include "pipeline/dotenv.h"

#include <ctype.h>

#include "base/string.h"

static bool is_blank(char c) {
        return c == 0 || isspace((unsigned char) c);
}

/* Cuts blanks and NUL bytes off both ends, as Ruby's strip. */
static void strip(const char **text, size_t *size) {
        while (*size > 0 && is_blank((*text)[*size - 1]))
                (*size)--;
        while (*size > 0 && is_blank(**text)) {
                (*text)++;
                (*size)--;
        }
}

static bool is_name(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (!isalnum((unsigned char) text[i]) && text[i] != '_')
                        return false;
        return size > 0 && size <= DOTENV_NAME_BYTES_MAX;
}

static int read_line(const char *line, size_t size, unsigned number, Variables *ret, const char **reterr_problem) {
        const char *sign = memchr(line, '=', size);

        if (!sign) {
                *reterr_problem = arena_printf(ret->arena, "line %u is not NAME=VALUE", number);
                return -EINVAL;
        }
        const char *name = line, *value = sign + 1;
        size_t name_size = (size_t) (sign - line), value_size = size - name_size - 1;
        strip(&name, &name_size);
        strip(&value, &value_size);
        if (!is_name(name, name_size)) {
                *reterr_problem = arena_printf(ret->arena,
                                               "the name in line %u has something other than letters, digits and '_', "
                                               "or is not 1 to %u characters long",
                                               number, DOTENV_NAME_BYTES_MAX);
                return -EINVAL;
        }
        if (memchr(value, 0, value_size)) {
                *reterr_problem = arena_printf(ret->arena, "the value in line %u has a NUL byte", number);
                return -EINVAL;
        }
        variables_set_text(ret, arena_copy(ret->arena, name, name_size), arena_copy(ret->arena, value, value_size));
        if (ret->n <= DOTENV_VARIABLES_MAX)
                return 0;
        *reterr_problem = arena_printf(ret->arena, "there are more than %u variables, counted to line %u",
                                       DOTENV_VARIABLES_MAX, number);
        return -EINVAL;
}

int dotenv_read(const char *data, size_t size, Variables *ret, const char **reterr_problem) {
        static const char mark[] = "\xef\xbb\xbf";

        if (size >= DOTENV_BYTES_MAX) {
                *reterr_problem = arena_printf(ret->arena, "the file is not smaller than %zu bytes", DOTENV_BYTES_MAX);
                return -EINVAL;
        }
        if (size >= strlen(mark) && memcmp(data, mark, strlen(mark)) == 0) {
                data += strlen(mark);
                size -= strlen(mark);
        }
        for (unsigned number = 1; size > 0; number++) {
                const char *end = memchr(data, '\n', size);
                size_t length = end ? (size_t) (end - data) : size;

                int r = read_line(data, length, number, ret, reterr_problem);
                if (r < 0)
                        return r;
                data += length + (end != NULL);
                size -= length + (end != NULL);
        }
        return 0;
}
