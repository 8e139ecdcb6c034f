/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"
#include "base/record.h"

/* The rows of the tables of settings and of variables, and the types of their values. */

typedef struct SettingInfo SettingInfo;
typedef struct SettingType SettingType;

/* One row of the table of settings. */
struct SettingInfo {
        const char *name;
        const SettingType *type;
        size_t offset;            /* of the value in the struct that the table describes */
        const char *default_text; /* as a configuration file has it */
        const char *help;
        bool machine;         /* an image's definition may also give it */
        uint64_t min, max;    /* of numbers and times (microseconds), inclusive; a @max of 0: no limit */
        uint64_t multiple_of; /* what numbers must be a multiple of; 0: anything */
        const char *expect;   /* completes "NAME must be ..." for values out of that range, or refused by @check */

        /* For strings and items of lists: is @text allowed? NULL: every text is. */
        bool (*check)(const char *text);
};

/* How values of one kind are read, shown and freed. @value is the field in the struct. */
struct SettingType {
        const char *expect; /* completes "NAME must be ..." for texts that cannot be a value of this type */
        bool is_list;
        bool nullable; /* "null" in the file unsets the setting */

        /* Sets the value, or adds an item to a list. 0; -EINVAL: @text is not of this type; -ERANGE: the row does not
         * allow the value; or -ENOMEM. On failure the value is untouched. */
        int (*assign)(const SettingInfo *info, const char *text, void *value);
        /* The same for a list that is given as one text; NULL: it must be a list. */
        int (*assign_text)(const SettingInfo *info, const char *text, void *value);
        /* Makes the text of the value for a file; *ret is to be freed. 0 or -ENOMEM. */
        int (*format)(const void *value, char **ret);
        /* Replaces @to by a copy of @from. 0, or -ENOMEM with @to as it was. */
        int (*copy)(const void *from, void *to);
        /* Replaces the value by what it means on this host, such as 10% by 1G; NULL: it means the same on all hosts. */
        void (*resolve)(void *value);
        RecordType record;          /* its type in a container's plan */
        const char *const *choices; /* its words there, for RECORD_CHOICE */
        void (*clear)(void *value); /* frees what the value owns and unsets it; NULL: nothing to free */
};

extern const SettingType setting_boolean, setting_boot, setting_builds, setting_cache, setting_network,
        setting_network_backend, setting_number, setting_time, setting_memory, setting_optional_number,
        setting_optional_memory, setting_wait, setting_texts, setting_size, setting_space, setting_string,
        setting_optional_string, setting_list, setting_command;

/* Returns the text that completes "NAME must be ..." after assign() returned @error, -EINVAL or -ERANGE. Static. */
const char *setting_expect(const SettingInfo *info, int error);
