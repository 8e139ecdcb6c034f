/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the marks of sections in a log. log.c calls this for each line that `exec` shows. The marks are the
 * job's work: what is no whole mark stays text, and names are cut. */

#include "exec/section.h"

#include <stdio.h>
#include <string.h>

#include "base/string.h"

static bool is_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
               c == '-';
}

/* "[a=b,collapsed=true]" at @p: its end. */
static const char *read_options(const char *p, bool *ret_collapsed) {
        static const char collapsed[] = "collapsed=true";
        const char *end = strchr(p, ']');

        if (!end)
                return NULL;
        for (p++; p < end; p += strcspn(p, ",]") + 1)
                if (startswith(p, collapsed) && (p[strlen(collapsed)] == ',' || p + strlen(collapsed) == end))
                        *ret_collapsed = true;
        return end + 1;
}

void section_take(const char **line, Section *ret) {
        const char *p = *line, *start;
        Section section = { SECTION_START };

        *ret = (Section){ SECTION_NONE };
        /* The sequence that clears the line comes before it, too. */
        while ((start = startswith(p, "\033[0K")))
                p = start;
        start = startswith(p, "section_start:");
        if (!start) {
                start = startswith(p, "section_end:");
                section.mark = SECTION_END;
        }
        if (!start)
                return;
        size_t n_digits = strspn(start, "0123456789"), n_name = 0;
        p = start + n_digits;
        if (n_digits == 0 || *p != ':')
                return;
        for (p++; is_name(p[n_name]);)
                n_name++;
        if (n_name == 0)
                return;
        snprintf(section.name, sizeof(section.name), "%.*s", (int) MIN(n_name, sizeof(section.name) - 1), p);
        p += n_name;
        if (*p == '[')
                p = read_options(p, &section.collapsed);
        if (!p || (*p && *p != '\r'))
                return;
        p += *p == '\r';
        start = startswith(p, "\033[0K");
        *line = start ? start : p;
        *ret = section;
}
