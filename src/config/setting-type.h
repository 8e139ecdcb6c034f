/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"
#include "base/record.h"

/* What the tables of settings and of variables have in common: their rows, and the types of values in them. */

typedef struct SettingInfo SettingInfo;
typedef struct SettingType SettingType;

/* One row of the table of settings. */
struct SettingInfo {
        const char *name;
        const SettingType *type;
        size_t offset;            /* of the value in the struct that the table describes */
        const char *default_text; /* as it is written in a configuration file */
        const char *help;
        bool machine;         /* may be given for an image, too */
        uint64_t min, max;    /* of numbers and times (microseconds), inclusive; a @max of 0 stands for no limit */
        uint64_t multiple_of; /* of numbers; 0: of any */
        const char *expect;   /* what is said about values out of that range, or refused by @check */

        /* For strings and items of lists: is @text right? NULL: whatever the type lets through. */
        bool (*check)(const char *text);
};

/* How values of one kind are read, shown and freed. @value is the field in the struct. */
struct SettingType {
        const char *expect; /* completes "NAME must be ...", for who typed something else */
        bool is_list;
        bool nullable; /* may be unset, which "null" in the file says */

        /* Returns 0, -EINVAL, -ERANGE (said by the row's @expect) or -ENOMEM, with the value untouched. */
        int (*assign)(const SettingInfo *info, const char *text, void *value);
        /* The same for a list that may also be given as one text; NULL: it may not. */
        int (*assign_text)(const SettingInfo *info, const char *text, void *value);
        /* The value as it is written in a file; *ret is to be freed. 0 or -ENOMEM. */
        int (*format)(const void *value, char **ret);
        /* Puts @from over @to: 0 or -ENOMEM, with @to as it was. */
        int (*copy)(const void *from, void *to);
        /* Puts in what the value stands for on this host; NULL: nothing depends on the host. */
        void (*resolve)(void *value);
        RecordType record;          /* how the value is stored in a file of ours, */
        const char *const *choices; /* and its words, for RECORD_CHOICE */
        void (*clear)(void *value); /* frees what the value owns and unsets it; NULL: nothing to free */
};

extern const SettingType setting_boolean, setting_boot, setting_network, setting_number, setting_time, setting_memory,
        setting_pull, setting_size, setting_string, setting_optional_string, setting_list, setting_command;

/* What is said about a value for which assign() returned @error: completes "NAME must be ...". */
const char *setting_expect(const SettingInfo *info, int error);

/* Time as systemd writes it: "90", "90s", "1min 30s", "1.5h", "infinity". 0, -EINVAL or -ERANGE. */
int parse_time_usec(const char *text, uint64_t *ret_usec);
