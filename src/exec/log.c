/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shows the log of a job on a terminal or in a file: prefix, colours, sections. Called by output.c. What a job printed
 * reaches the screen only through print(), which lets text and colours through. */

#include "exec/log.h"

#include "base/string.h"
#include "base/utf8.h"
#include "exec/page.h"
#include "exec/section.h"
#include "terminal/ansi.h"

int exec_log_init(ExecLog *log, const char *name, unsigned colour, unsigned name_width) {
        *log = (ExecLog){ .name = ansi_plain(name), .colour = colour, .name_width = name_width };
        return log->name ? 0 : -ENOMEM;
}

void exec_log_done(ExecLog *log) {
        free(log->name);
        free(log->title);
        free(log->fold_title);
        free(log->fold_name);
        strv_free(log->kept);
        *log = (ExecLog){ 0 };
}

static void print_name(const ExecLog *log, const ExecScreen *screen) {
        static const unsigned colours[] = { 36, 33, 35, 32, 34, 96, 93, 95, 92, 94 };
        unsigned columns;
        size_t size = utf8_fit(log->name, log->name_width, &columns);
        bool cut = log->name[size];

        if (cut)
                size = utf8_fit(log->name, log->name_width - 1, &columns);
        if (screen->colours)
                fprintf(screen->to, "\033[%um", colours[log->colour % ELEMENTSOF(colours)]);
        fwrite(log->name, 1, size, screen->to);
        fprintf(screen->to, "%s%*s%s | ", cut ? "…" : "", (int) (log->name_width - columns - cut), "",
                screen->colours ? "\033[0m" : "");
}

static void print(const ExecLog *log, const ExecScreen *screen, const char *style, const char *line) {
        const char *p = ansi_begin(line);
        bool styled = style != NULL;
        AnsiPart part;

        print_name(log, screen);
        if (style && screen->colours)
                fprintf(screen->to, "\033[%sm", style);
        while (ansi_next(&p, &part)) {
                if (part.is_style && !screen->colours)
                        continue;
                styled = styled || part.is_style;
                fwrite(part.text, 1, part.size, screen->to);
        }
        fputs(styled && screen->colours ? "\033[0m\n" : "\n", screen->to);
}

void exec_log_say(const ExecLog *log, const ExecScreen *screen, const char *style, const char *text) {
        print(log, screen, style, text);
}

static void keep(ExecLog *log, const char *line) {
        log->n_lines++;
        if (log->n_kept == EXEC_LOG_KEPT_MAX) {
                free(log->kept[0]);
                memmove(log->kept, log->kept + 1, log->n_kept * sizeof(char *));
                log->n_kept--;
        }
        /* Without memory, the line is not shown later. */
        if (strv_extend(&log->kept, line) >= 0)
                log->n_kept++;
}

static void fold(ExecLog *log, const char *title, const char *name, uint64_t now_usec) {
        log->fold_title = strdup(title);
        log->fold_name = name ? strdup(name) : NULL;
        log->begin_usec = now_usec;
        log->folds = log->fold_title && (!name || log->fold_name);
}

/* What was folded is over. */
static void unfold(ExecLog *log, const ExecScreen *screen, bool show, uint64_t now_usec) {
        char duration[EXEC_DURATION_BYTES_MAX];
        _cleanup_free_ char *text = NULL;

        if (!log->folds)
                return;
        if (show) {
                print(log, screen, "1", log->fold_title);
                if (log->n_lines > log->n_kept &&
                    string_printf(&text, "(%zu earlier lines)", log->n_lines - log->n_kept) >= 0)
                        print(log, screen, "2", text);
                for (size_t i = 0; i < log->n_kept; i++)
                        print(log, screen, NULL, log->kept[i]);
        } else if (string_printf(&text, "%s (%s)", log->fold_title,
                                 exec_duration(now_usec - log->begin_usec, duration)) >= 0)
                print(log, screen, "2", text);
        log->folds = false;
        log->n_kept = log->n_lines = 0;
        strv_free(TAKE_PTR(log->kept));
        free(TAKE_PTR(log->fold_title));
        free(TAKE_PTR(log->fold_name));
}

void exec_log_stage(ExecLog *log, const ExecScreen *screen, const char *title, bool own, uint64_t now_usec) {
        unfold(log, screen, false, now_usec);
        (void) string_replace(&log->title, title);
        if (screen->terminal && !own)
                fold(log, title, NULL, now_usec);
        else
                print(log, screen, "1", title);
}

static void take_mark(ExecLog *log, const ExecScreen *screen, const Section *section, const char *title,
                      uint64_t now_usec) {
        if (section->mark == SECTION_END) {
                if (log->folds && log->fold_name && streq(log->fold_name, section->name))
                        unfold(log, screen, false, now_usec);
                return;
        }
        if (!log->folds && section->collapsed && screen->terminal)
                fold(log, *title ? title : section->name, section->name, now_usec);
}

void exec_log_line(ExecLog *log, const ExecScreen *screen, const char *line, uint64_t now_usec) {
        bool marked = false, begins = false, folded = log->folds;
        Section section;

        for (section_take(&line, &section); section.mark != SECTION_NONE; section_take(&line, &section)) {
                marked = true;
                begins = section.mark == SECTION_START;
                take_mark(log, screen, &section, line, now_usec);
        }
        if (marked && (!*ansi_begin(line) || (!folded && log->folds)))
                return;
        if (log->folds)
                keep(log, line);
        else
                print(log, screen, begins ? "1" : NULL, line);
}

void exec_log_end(ExecLog *log, const ExecScreen *screen, bool failed, uint64_t now_usec) {
        unfold(log, screen, failed, now_usec);
}
