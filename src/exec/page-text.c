/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Text in the report of `exec`: whatever jobs and repositories say, made harmless for a browser, and the colours of logs.
 * Called by the other parts of the page. Nothing of such text may get into the page but through here. */

#include "base/string.h"
#include "base/utf8.h"
#include "exec/page.h"
#include "terminal/ansi.h"

static const char *entity(char c) {
        switch (c) {
        case '&':
                return "&amp;";
        case '<':
                return "&lt;";
        case '>':
                return "&gt;";
        case '"':
                return "&quot;";
        case '\'':
                return "&#39;";
        default:
                return NULL;
        }
}

void exec_page_text(FILE *to, const char *text, size_t size) {
        /* A copy would be needed to look for UTF-8 beyond the end; the text is terminated somewhere. */
        for (size_t i = 0; i < size && text[i];) {
                size_t length = utf8_length(text + i);
                unsigned char c = (unsigned char) text[i];
                const char *replacement = length == 1 ? entity(text[i]) : NULL;

                if (length == 0 || length > size - i) {
                        fputs("\xef\xbf\xbd", to);
                        i++;
                        continue;
                }
                if (replacement)
                        fputs(replacement, to);
                else if (length > 1 || c >= ' ' ? c != 0x7f : c == '\t')
                        fwrite(text + i, 1, length, to);
                i += length;
        }
}

void exec_page_short_text(FILE *to, const char *text, unsigned columns) {
        unsigned used;

        if (!text[utf8_fit(text, columns, &used)])
                exec_page_text(to, text, strlen(text));
        else {
                exec_page_text(to, text, utf8_fit(text, columns - 1, &used));
                fputs("…", to);
        }
}

/* Colours and weight that hold until something else is said. */
typedef struct Style {
        unsigned foreground; /* 1 to 16; 0: none */
        bool bold;
} Style;

/* Reads "ESC [ 1;31 m". Colours beyond the sixteen, and of the background, are left out. */
static void read_style(const char *text, size_t size, Style *style) {
        for (size_t i = 2; i < size; i++) {
                unsigned code = 0;

                for (; i < size && text[i] >= '0' && text[i] <= '9' && code < 1000; i++)
                        code = code * 10 + (unsigned) (text[i] - '0');
                if (code == 0)
                        *style = (Style){ 0 };
                else if (code == 1)
                        style->bold = true;
                else if (code == 22)
                        style->bold = false;
                else if (code >= 30 && code <= 37)
                        style->foreground = code - 30 + 1;
                else if (code == 39)
                        style->foreground = 0;
                else if (code >= 90 && code <= 97)
                        style->foreground = code - 90 + 9;
                else if (code == 38 || code == 48) /* what follows says which colour */
                        return;
        }
}

void exec_page_log_line(FILE *to, ExecLineKind kind, const char *text) {
        const char *p = ansi_begin(text);
        Style style = { 0 };
        AnsiPart part;

        if (kind != EXEC_LINE_LOG)
                fprintf(to, "<b class=\"%s\">", kind == EXEC_LINE_TRY ? "try" : "section");
        while (ansi_next(&p, &part)) {
                bool styled = style.bold || style.foreground > 0;

                if (part.is_style) {
                        read_style(part.text, part.size, &style);
                        continue;
                }
                if (styled)
                        fprintf(to, "<i class=\"%sf%u\">", style.bold ? "b " : "", style.foreground);
                exec_page_text(to, part.text, part.size);
                if (styled)
                        fputs("</i>", to);
        }
        fputs(kind != EXEC_LINE_LOG ? "</b>\n" : "\n", to);
}
