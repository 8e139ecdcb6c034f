/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The list of images that chroot-maintenance works on: finding one, the result of all, and, for --dry-run, what would
 * be done with each. Only chroot-maintenance calls this. Nothing here changes an image. */

#include "cli/maintenance-items.h"

#include "base/log.h"
#include "base/string.h"
#include "terminal/table.h"

bool maintenance_is_over(const Item *item) {
        return item->state != ITEM_WAITING && item->state != ITEM_RUNNING;
}

Item *maintenance_item(const Maintenance *m, const char *name) {
        for (size_t i = 0; i < m->n; i++)
                if (streq(m->items[i].name, name))
                        return &m->items[i];
        return NULL;
}

int maintenance_result(const Maintenance *m) {
        if (m->signal > 0)
                return 128 + m->signal;
        for (size_t i = 0; i < m->n; i++)
                if (m->items[i].state == ITEM_FAILED || !maintenance_is_over(&m->items[i]))
                        return -EIO;
        return m->bad_files ? -EIO : 0;
}

/* What would be done with one image, after the one that it is made from. */
static void forecast(const Maintenance *m, Item *item) {
        Item *base = item->definition && item->definition->source.from ?
                             maintenance_item(m, item->definition->source.from) :
                             NULL;
        Problem problem = { 0 };

        if (item->state == ITEM_FAILED && !item->forecast.why)
                (void) string_replace(&item->forecast.why, "its definition is wrong or missing");
        if (item->state != ITEM_WAITING)
                return;
        if (base)
                forecast(m, base); /* refuse_cycles() was called */
        if (base && base->state == ITEM_FAILED) {
                item->state = ITEM_FAILED;
                (void) string_printf(&item->forecast.why, "image '%s', which it is made from, cannot be made",
                                     base->name);
                return;
        }
        item->state = ITEM_UNCHANGED;
        int r = forecast_image(m->settings, item->definition, base && base->forecast.action != FORECAST_NOTHING,
                               &item->forecast, &problem);
        if (r < 0) {
                item->state = ITEM_FAILED;
                (void) string_replace(&item->forecast.why, problem_text(&problem, r));
        }
}

static int print_forecasts(const Maintenance *m, Table *table) {
        static const char *const actions[] = {
                [FORECAST_NOTHING] = "nothing",     [FORECAST_CREATE] = "create", [FORECAST_ANEW] = "make anew",
                [FORECAST_ASK] = "ask for changes", [FORECAST_UPDATE] = "update",
        };

        for (size_t i = 0; i < m->n; i++) {
                Item *item = &m->items[i];

                forecast(m, item);
                const char *action = item->state == ITEM_FAILED ? "fail" : actions[item->forecast.action];
                int r = table_add(table, (const char *const[]){ item->name, action, item->forecast.why });
                if (r < 0)
                        return r;
        }
        return table_print(table);
}

int maintenance_forecast(const Maintenance *m) {
        static const TableColumn columns[] = {
                { "image", COLUMN_TEXT, .shortens = true },
                { "action", COLUMN_TEXT },
                { "why", COLUMN_TEXT, .shortens = true },
                { 0 },
        };
        _cleanup_table_ Table *table = NULL;

        int r = table_new_logged("images", columns, m->json, &table);
        if (r < 0)
                return r;
        r = print_forecasts(m, table);
        return r < 0 ? log_error_errno(r, "Cannot print what would be done: %m") : maintenance_result(m);
}
