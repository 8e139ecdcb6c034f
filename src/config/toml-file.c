/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads a TOML file (toml.io, version 1.0) for `setup`, which changes GitLab Runner's config.toml, and for `doctor`. No library
 * in Debian tells where in the text a value is, and comments and order must stay. It never changes anything, and
 * whatever it does not understand is an error. */

#include "config/toml-file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/string.h"

#define DEPTH_MAX 64U

typedef struct Reader {
        const char *text, *at;
        TomlFile *file;
        Problem *problem;
        unsigned depth;
} Reader;

void toml_file_done(TomlFile *file) {
        for (size_t i = 0; i < file->n_tables; i++)
                free(file->tables[i].name);
        for (size_t i = 0; i < file->n_values; i++) {
                free(file->values[i].key);
                if (file->values[i].string)
                        explicit_bzero(file->values[i].string, strlen(file->values[i].string));
                free(file->values[i].string);
        }
        free(file->tables);
        free(file->values);
}

const TomlValue *toml_file_value(const TomlFile *file, size_t table, const char *key) {
        for (size_t i = 0; i < file->n_values; i++)
                if (file->values[i].table == table && streq(file->values[i].key, key))
                        return &file->values[i];
        return NULL;
}

static int fail(Reader *reader, const char *text) {
        unsigned line = 1;

        for (const char *p = reader->text; p < reader->at; p++)
                line += *p == '\n';
        problem_set(reader->problem, -EINVAL, "%s", text);
        reader->problem->line = line;
        return -EINVAL;
}

static void skip_blanks(Reader *reader) {
        while (*reader->at == ' ' || *reader->at == '\t')
                reader->at++;
}

static void skip_comment(Reader *reader) {
        if (*reader->at == '#')
                reader->at += strcspn(reader->at, "\n");
}

/* Blanks, comments and ends of lines, as they may be between the elements of an array. */
static void skip_lines(Reader *reader) {
        for (;;) {
                skip_blanks(reader);
                skip_comment(reader);
                if (*reader->at == '\r' && reader->at[1] == '\n')
                        reader->at++;
                if (*reader->at != '\n')
                        return;
                reader->at++;
        }
}

static int end_line(Reader *reader) {
        skip_blanks(reader);
        skip_comment(reader);
        if (*reader->at == '\r' && reader->at[1] == '\n')
                reader->at++;
        if (*reader->at && *reader->at != '\n')
                return fail(reader, "something follows where the line should end");
        return 0;
}

static void put_utf8(FILE *stream, unsigned long c) {
        if (c < 0x80) {
                putc((int) c, stream);
                return;
        }
        if (c >= 0x10000)
                fprintf(stream, "%c%c", (int) (0xf0 | c >> 18), (int) (0x80 | (c >> 12 & 0x3f)));
        else if (c >= 0x800)
                putc((int) (0xe0 | c >> 12), stream);
        if (c >= 0x800)
                putc((int) (0x80 | (c >> 6 & 0x3f)), stream);
        else
                putc((int) (0xc0 | c >> 6), stream);
        putc((int) (0x80 | (c & 0x3f)), stream);
}

/* What follows a backslash. */
static int read_escape(Reader *reader, bool multiline, FILE *stream) {
        static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
        const char *letter = *reader->at ? strchr(letters, *reader->at) : NULL;

        if (letter) {
                putc(meanings[letter - letters], stream);
                reader->at++;
                return 0;
        }
        size_t n = *reader->at == 'u' ? 4 : *reader->at == 'U' ? 8 : 0;
        if (n > 0) {
                char digits[9] = "";
                strncpy(digits, reader->at + 1, n);
                unsigned long c = strtoul(digits, NULL, 16);
                if (strspn(digits, "0123456789abcdefABCDEF") != n || c == 0 || c > 0x10ffff ||
                    (c >= 0xd800 && c < 0xe000))
                        return fail(reader, "there is no such character");
                put_utf8(stream, c);
                reader->at += n + 1;
                return 0;
        }
        if (multiline && reader->at[strspn(reader->at, " \t\r")] == '\n') {
                reader->at += strspn(reader->at, " \t\r\n");
                return 0;
        }
        return fail(reader, "a backslash in a string is followed by something that it cannot stand before");
}

/* How many quotes at the reader's place, which is one, are the end of a string in several lines: two more can belong to it. */
static bool ends_here(Reader *reader, char quote, bool multiline, FILE *stream) {
        size_t n = 0;

        while (reader->at[n] == quote)
                n++;
        if (!multiline) {
                reader->at++;
                return true;
        }
        if (n < 3 || n > 5) {
                putc(quote, stream);
                reader->at++;
                return false;
        }
        for (size_t i = 3; i < n; i++)
                putc(quote, stream);
        reader->at += n;
        return true;
}

static int read_quoted(Reader *reader, FILE *stream) {
        const char quote = *reader->at;
        bool multiline = reader->at[1] == quote && reader->at[2] == quote;

        reader->at += multiline ? 3 : 1;
        if (multiline && *reader->at == '\r' && reader->at[1] == '\n')
                reader->at++;
        if (multiline && *reader->at == '\n')
                reader->at++;
        for (;;) {
                char c = *reader->at;

                if (!c || (c == '\n' && !multiline))
                        return fail(reader, "a string has no end");
                if (c == quote) {
                        if (ends_here(reader, quote, multiline, stream))
                                return 0;
                        continue;
                }
                reader->at++;
                if (c != '\\' || quote == '\'') {
                        putc(c, stream);
                        continue;
                }
                int r = read_escape(reader, multiline, stream);
                if (r < 0)
                        return r;
        }
}

static int read_string(Reader *reader, char **ret) {
        _cleanup_free_ char *string = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&string, &size);

        if (!stream)
                return -ENOMEM;
        int r = read_quoted(reader, stream);
        if (fclose(stream) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(string);
        return 0;
}

/* Parts with dots between them, each quoted or not. */
static int read_key(Reader *reader, char **ret) {
        _cleanup_free_ char *key = NULL;

        for (;;) {
                _cleanup_free_ char *part = NULL;

                skip_blanks(reader);
                size_t n = strspn(reader->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
                if (n > 0) {
                        part = strndup(reader->at, n);
                        reader->at += n;
                } else if (*reader->at == '"' || *reader->at == '\'') {
                        int r = read_string(reader, &part);
                        if (r < 0)
                                return r;
                } else {
                        return fail(reader, "the name of a key or table should be here");
                }
                if (!part || string_append(&key, ".", "%s", part) < 0)
                        return -ENOMEM;
                skip_blanks(reader);
                if (*reader->at != '.')
                        break;
                reader->at++;
        }
        *ret = TAKE_PTR(key);
        return 0;
}

static int read_value(Reader *reader, char **ret_string);

static int read_array(Reader *reader) {
        reader->at++;
        for (;;) {
                _cleanup_free_ char *string = NULL;

                skip_lines(reader);
                if (*reader->at == ']')
                        break;
                int r = read_value(reader, &string);
                if (r < 0)
                        return r;
                skip_lines(reader);
                if (*reader->at == ']')
                        break;
                if (*reader->at != ',')
                        return fail(reader, "an array has no end, or no comma between two values");
                reader->at++;
        }
        reader->at++;
        return 0;
}

static int read_inline_table(Reader *reader) {
        reader->at++;
        skip_blanks(reader);
        while (*reader->at != '}') {
                _cleanup_free_ char *key = NULL, *string = NULL;

                int r = read_key(reader, &key);
                if (r < 0)
                        return r;
                if (*reader->at != '=')
                        return fail(reader, "a key has no value");
                reader->at++;
                r = read_value(reader, &string);
                if (r < 0)
                        return r;
                skip_blanks(reader);
                if (*reader->at == '}')
                        break;
                if (*reader->at != ',')
                        return fail(reader, "a table in braces has no end, or no comma between two keys");
                reader->at++;
        }
        reader->at++;
        return 0;
}

/* Numbers, dates, and words. */
static int read_bare(Reader *reader) {
        static const char *const words[] = { "true", "false", "inf", "nan", "+inf", "-inf", "+nan", "-nan" };
        size_t n = strcspn(reader->at, " \t\r\n,]}#");
        const char *digit = reader->at + (*reader->at == '+' || *reader->at == '-');

        if (n == 0)
                return fail(reader, "a value should be here");
        bool known = isdigit((unsigned char) *digit) && strspn(reader->at, "0123456789abcdefABCDEFoxTZtz_.:+-") >= n;
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                known = known || (strlen(words[i]) == n && strncmp(words[i], reader->at, n) == 0);
        if (!known)
                return fail(reader, "this is no value; strings need quotes");
        reader->at += n;
        /* "1979-05-27 07:32:00" */
        if (n == 10 && reader->at[-3] == '-' && *reader->at == ' ' && isdigit((unsigned char) reader->at[1]))
                reader->at += 1 + strspn(reader->at + 1, "0123456789:.+-Zz");
        return 0;
}

static int read_value(Reader *reader, char **ret_string) {
        if (++reader->depth > DEPTH_MAX)
                return fail(reader, "arrays and tables are nested too deep");
        skip_blanks(reader);
        int r = *reader->at == '"' || *reader->at == '\'' ? read_string(reader, ret_string) :
                *reader->at == '['                        ? read_array(reader) :
                *reader->at == '{'                        ? read_inline_table(reader) :
                                                            read_bare(reader);
        reader->depth--;
        return r;
}

static int add_table(TomlFile *file, char *name, bool is_array) {
        TomlTable *tables = reallocarray(file->tables, file->n_tables + 1, sizeof(TomlTable));

        if (!tables || !name) {
                file->tables = tables ? tables : file->tables;
                free(name);
                return -ENOMEM;
        }
        file->tables = tables;
        file->tables[file->n_tables++] = (TomlTable){ .name = name, .is_array = is_array };
        return 0;
}

static int read_header(Reader *reader) {
        _cleanup_free_ char *name = NULL;
        bool is_array = reader->at[1] == '[';

        reader->at += is_array ? 2 : 1;
        int r = read_key(reader, &name);
        if (r < 0)
                return r;
        if (*reader->at != ']' || (is_array && reader->at[1] != ']'))
                return fail(reader, "the header of a table has no end");
        reader->at += is_array ? 2 : 1;
        r = end_line(reader);
        if (r < 0)
                return r;
        r = add_table(reader->file, TAKE_PTR(name), is_array);
        if (r < 0)
                return r;
        reader->file->tables[reader->file->n_tables - 1].end = (size_t) (reader->at - reader->text);
        return 0;
}

static int read_pair(Reader *reader) {
        TomlFile *file = reader->file;
        TomlValue value = { .table = file->n_tables - 1 };

        TomlValue *values = reallocarray(file->values, file->n_values + 1, sizeof(TomlValue));
        if (!values)
                return -ENOMEM;
        file->values = values;
        int r = read_key(reader, &value.key);
        if (r < 0)
                return r;
        const bool twice = toml_file_value(file, value.table, value.key);
        /* From here on the file owns it. */
        TomlValue *added = &file->values[file->n_values++];
        *added = value;
        if (twice)
                return fail(reader, "this key is there twice");
        if (*reader->at != '=')
                return fail(reader, "a key has no value");
        reader->at++;
        skip_blanks(reader);
        added->begin = (size_t) (reader->at - reader->text);
        added->is_container = *reader->at == '[' || *reader->at == '{';
        r = read_value(reader, &added->string);
        if (r < 0)
                return r;
        added->end = (size_t) (reader->at - reader->text);
        return end_line(reader);
}

int toml_file_parse(const char *text, TomlFile *ret, Problem *reterr_problem) {
        _cleanup_toml_file_ TomlFile file = { 0 };
        Reader reader = { .text = text, .at = text, .file = &file, .problem = reterr_problem };

        int r = add_table(&file, strdup(""), false);
        if (r < 0)
                return r;
        if (startswith(text, "\xef\xbb\xbf"))
                reader.at += 3;
        for (;;) {
                skip_lines(&reader);
                if (!*reader.at)
                        break;
                r = *reader.at == '[' ? read_header(&reader) : read_pair(&reader);
                if (r < 0)
                        return r;
        }
        *ret = file;
        file = (TomlFile){ 0 };
        return 0;
}
