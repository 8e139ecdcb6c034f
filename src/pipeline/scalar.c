/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out what an unquoted scalar means. Called by yaml.c for each scalar, and by code that writes YAML to see which
 * texts need quotes. The rules are those of Psych's scanner, in its order; this must accept only what Psych matches. */

#include "pipeline/scalar.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "base/string.h"

static size_t span(const char *p, const char *accept) {
        return strspn(p, accept);
}

static const char *skip_sign(const char *p) {
        return *p == '-' || *p == '+' ? p + 1 : p;
}

/* Reads words of up to five letters that have a meaning. True: @value is decided. */
static bool read_word(const char *text, Value *value) {
        static const struct {
                const char *word;
                ValueType type;
                bool boolean;
        } words[] = {
                { "~", VALUE_NULL, false },        { "null", VALUE_NULL, false },   { "yes", VALUE_BOOLEAN, true },
                { "true", VALUE_BOOLEAN, true },   { "on", VALUE_BOOLEAN, true },   { "no", VALUE_BOOLEAN, false },
                { "false", VALUE_BOOLEAN, false }, { "off", VALUE_BOOLEAN, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcasecmp(words[i].word, text) == 0) {
                        value->type = words[i].type;
                        if (words[i].type == VALUE_BOOLEAN)
                                value->boolean = words[i].boolean;
                        return true;
                }
        return false;
}

/* Is @text a word, which can be no number, date or symbol? It has at most one other character before its first
 * letter. */
static bool is_wordy(const char *text) {
        static const char word[] = "_ \t\r\f\v!@#$%^&*(){}<>|/\\~;=";
        const unsigned char *p = (const unsigned char *) text;

        if (isalpha(*p) || *p >= 0x80 || strchr(word, *p))
                return true;
        return *p && !isdigit(*p) && !strchr(".:-", *p) &&
               (isalpha(p[1]) || p[1] >= 0x80 || (p[1] && strchr(word, p[1])));
}

/* Skips between @min and @max digits. Returns what follows, or NULL. */
static const char *digits(const char *p, size_t min, size_t max) {
        size_t n = span(p, "0123456789");

        return n < min || n > max ? NULL : p + n;
}

static bool is_zone(const char *p) {
        if (*p == 0 || streq(p, "Z"))
                return true;
        if (*p != '-' && *p != '+')
                return false;
        size_t n = span(p + 1, "0123456789");
        const char *rest = p + 1 + n;
        if (n == 3 || n == 4)
                return *rest == 0;
        if (n < 1 || n > 2)
                return false;
        if (*rest == ':')
                rest++;
        return *rest == 0 || (span(rest, "0123456789") == 2 && rest[2] == 0);
}

/* Is it "2024-01-31", or such a date with a time behind it? */
static bool is_date(const char *text) {
        const char *p = digits(text + (*text == '-'), 4, 4);
        const char *month = p && *p == '-' ? p + 1 : NULL;

        p = month ? digits(month, 1, 2) : NULL;
        const char *day = p && *p == '-' ? p + 1 : NULL;
        p = day ? digits(day, 1, 2) : NULL;
        if (!p)
                return false;
        /* Without a time, the day need not exist: it only has to look like a date. */
        if (*p == 0)
                return *text != '-' && atoi(month) <= 12 && atoi(day) <= 31;
        size_t blanks = span(p, " \t");
        if (blanks == 0 && *p != 'T' && *p != 't')
                return false;
        p = digits(p + MAX(blanks, (size_t) 1), 1, 2);
        p = p && *p == ':' ? digits(p + 1, 2, 2) : NULL;
        p = p && *p == ':' ? digits(p + 1, 2, 2) : NULL;
        if (p && *p == '.')
                p += 1 + span(p + 1, "0123456789");
        return p && is_zone(p + span(p, " \t"));
}

static bool read_special_float(const char *text, Value *value) {
        if (strcasecmp(text, ".inf") == 0 || strcasecmp(text, "+.inf") == 0)
                value->number = INFINITY;
        else if (strcasecmp(text, "-.inf") == 0)
                value->number = -INFINITY;
        else if (strcasecmp(text, ".nan") == 0)
                value->number = NAN;
        else
                return false;
        value->type = VALUE_FLOAT;
        return true;
}

/* Reads "1:30", "12:30:45", "1:30.5". The first number counts 3600, whatever follows. */
static bool read_sexagesimal(const char *text, Value *value) {
        const char *p = skip_sign(text);
        double total = 0;
        unsigned parts = 0;

        if (!isdigit((unsigned char) *p))
                return false;
        for (const char *part = text; parts < 3; parts++) {
                static const double weights[] = { 3600, 60, 1 };
                char number[24];

                const char *end = parts == 0 ? p + span(p, "0123456789_") : part + span(part, "0123456789");
                if (parts > 0 && (end == part || end - part > 2 || (end - part == 2 && *part > '5')))
                        return false;
                /* Ruby's to_i ignores single underscores; we do not, because nobody writes them here. */
                snprintf(number, sizeof(number), "%.*s", (int) MIN(end - part, 20), part);
                if (*end == '.' && parts > 0 && end[1 + span(end + 1, "0123456789_")] == 0) {
                        value->type = VALUE_FLOAT;
                        value->number = total + strtod(part, NULL) * weights[parts];
                        return true;
                }
                total += strtod(number, NULL) * weights[parts];
                if (*end == 0 && parts > 0) {
                        value->type = VALUE_INTEGER;
                        value->integer = (int64_t) total;
                        return total < 9e15 && total > -9e15;
                }
                if (*end != ':')
                        return false;
                part = end + 1;
        }
        return false;
}

/* Copies @text without separators. False: it is too long to be a number. */
static bool without_separators(const char *text, char ret[static 64]) {
        size_t n = 0;

        for (; *text; text++) {
                if (*text == ',' || *text == '_')
                        continue;
                if (n >= 63)
                        return false;
                ret[n++] = *text;
        }
        ret[n] = 0;
        return true;
}

static bool read_float(const char *text, Value *value) {
        const char *p = skip_sign(text);
        char number[64];

        if (isdigit((unsigned char) *p))
                p += span(p, "0123456789_,");
        if (*p != '.')
                return false;
        bool bare = p == skip_sign(text);
        const char *fraction = p + 1;
        p = fraction + span(fraction, "0123456789");
        bool exponent = false;
        if (*p == 'e' || *p == 'E') {
                if ((p[1] != '-' && p[1] != '+') || !isdigit((unsigned char) p[2]))
                        return false;
                p += 2 + span(p + 2, "0123456789");
                exponent = true;
        }
        if (*p || (bare && *fraction == 0) || (bare && exponent && !isdigit((unsigned char) *fraction)))
                return false;
        if (!without_separators(text, number))
                return false;
        value->type = VALUE_FLOAT;
        value->number = strtod(number, NULL);
        return true;
}

static bool read_integer(const char *text, Value *value) {
        const char *p = skip_sign(text);
        char number[64];
        int base = 10;

        if (p[0] == '0' && p[1] == 'b' && p[2] && p[2 + span(p + 2, "01_,")] == 0)
                base = 2;
        else if (p[0] == '0' && p[1] == 'x' && p[2] && p[2 + span(p + 2, "0123456789abcdefABCDEF_,")] == 0)
                base = 16;
        else if (p[0] == '0' && p[1] && p[1 + span(p + 1, "01234567_,")] == 0)
                base = 8;
        else if (p[0] == '0' ? p[1] != 0 : !isdigit((unsigned char) *p))
                return false;
        if (base == 10)
                for (const char *q = p + 1; *q; q++)
                        if (!isdigit((unsigned char) *q) &&
                            ((*q != ',' && *q != '_') || !isdigit((unsigned char) q[1])))
                                return false;
        if (!without_separators(text, number))
                return false;

        char *start = number + (number[0] == '-' || number[0] == '+');
        char *from = start + (base == 2 || base == 16 ? 2 : 0), *end;
        if (!*from)
                return false;
        errno = 0;
        value->integer = strtoll(from, &end, base);
        if (errno != 0 || *end)
                return false;
        if (number[0] == '-')
                value->integer = -value->integer;
        value->type = VALUE_INTEGER;
        return true;
}

ScalarOutcome scalar_read(const char *text, Value *value) {
        value->type = VALUE_NULL;
        if (!*text)
                return SCALAR_OK;
        if (is_wordy(text) || strchr(text, '\n')) {
                if (!read_word(text, value)) {
                        value->type = VALUE_STRING;
                        value->string = text;
                }
                return SCALAR_OK;
        }
        if (is_date(text))
                return SCALAR_IS_DATE;
        if (read_special_float(text, value))
                return SCALAR_OK;
        if (text[0] == ':' && text[1]) {
                /* A Ruby symbol becomes a text. */
                value->type = VALUE_STRING;
                value->string = text + 1;
                return SCALAR_OK;
        }
        if (read_sexagesimal(text, value) || read_float(text, value) || read_integer(text, value))
                return SCALAR_OK;
        value->type = VALUE_STRING;
        value->string = text;
        return SCALAR_OK;
}
