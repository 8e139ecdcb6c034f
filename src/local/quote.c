/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Quotes words of scripts in the two ways that GitLab Runner has (its helpers/shell_escape.go). job-script.c and job-steps.c
 * call this. A shell must read exactly the bytes of the word, whatever they are: for any shell, more words get quotes than
 * GitLab Runner thinks of. Pure. */

#include "local/quote.h"

#include <stdio.h>
#include <string.h>

#define LITERAL ",-./0123456789@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
#define POSIX_ESCAPED "`\"\\$"

static void add_bash_byte(Text *text, unsigned char c) {
        static const char named[] = "\a\b\t\n\v\f\r'\\", names[] = "abtnvfr'\\";
        const char *found = c ? strchr(named, c) : NULL;

        char escaped[5] = { '\\', found ? names[found - named] : 0 };
        if (!found && c >= ' ' && c < 127)
                snprintf(escaped, sizeof(escaped), "%c", c);
        else if (!found)
                snprintf(escaped, sizeof(escaped), "\\x%02x", c);
        text_add_string(text, escaped);
}

static void add_bash(Text *text, const char *word) {
        if (!word[strspn(word, LITERAL)]) {
                text_add_string(text, word);
                return;
        }
        text_add_string(text, "$'");
        while (*word) {
                size_t n = strspn(word, LITERAL " ");

                text_add(text, word, n);
                word += n;
                if (*word)
                        add_bash_byte(text, (unsigned char) *word++);
        }
        text_add(text, "'", 1);
}

static void add_posix(Text *text, const char *word) {
        bool quoted = word[strspn(word, LITERAL)];

        text_add(text, "\"", quoted);
        while (*word) {
                size_t n = strcspn(word, POSIX_ESCAPED);

                text_add(text, word, n);
                word += n;
                if (*word) {
                        text_add(text, "\\", 1);
                        text_add(text, word++, 1);
                }
        }
        text_add(text, "\"", quoted);
}

void text_add_quoted(Text *text, const char *word, bool posix) {
        if (!*word)
                text_add_string(text, "''");
        else if (posix)
                add_posix(text, word);
        else
                add_bash(text, word);
}
