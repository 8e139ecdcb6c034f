/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The types of settings that are numbers: counts, times and sizes. Reached through SettingType only, apart from
 * parse_time_usec(). Every printed text must read back as the same value. */

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#include "base/string.h"
#include "config/setting-type.h"
#include "config/value.h"

/* Numbers with a fraction, as in "1.5G", are read exactly, in millionths. */
#define FRACTION UINT64_C(1000000)

/* Reads digits with an optional fraction from *@text and moves it behind them. The result is @ret_whole + @ret_fraction
 * / FRACTION; further digits are dropped. */
static int parse_decimal(const char **text, uint64_t *ret_whole, uint64_t *ret_fraction) {
        const char *p = *text;
        uint64_t whole = 0, fraction = 0;

        if (!isdigit((unsigned char) *p))
                return -EINVAL;
        for (; isdigit((unsigned char) *p); p++)
                if (__builtin_mul_overflow(whole, UINT64_C(10), &whole) ||
                    __builtin_add_overflow(whole, (uint64_t) (*p - '0'), &whole))
                        return -ERANGE;
        if (*p == '.') {
                if (!isdigit((unsigned char) *++p))
                        return -EINVAL;
                for (uint64_t place = FRACTION / 10; isdigit((unsigned char) *p); p++, place /= 10)
                        fraction += (uint64_t) (*p - '0') * place;
        }
        *text = p;
        *ret_whole = whole;
        *ret_fraction = fraction;
        return 0;
}

/* Computes (@whole + @fraction / FRACTION) * @unit. */
static int scale_decimal(uint64_t whole, uint64_t fraction, uint64_t unit, uint64_t *ret) {
        uint64_t scaled;

        if (__builtin_mul_overflow(whole, unit, &scaled) ||
            __builtin_add_overflow(scaled, (uint64_t) ((unsigned __int128) fraction * unit / FRACTION), &scaled))
                return -ERANGE;
        *ret = scaled;
        return 0;
}

static int number_copy(const void *from, void *to) {
        *(uint64_t *) to = *(const uint64_t *) from;
        return 0;
}

static int memory_copy(const void *from, void *to) {
        *(MemorySize *) to = *(const MemorySize *) from;
        return 0;
}

static void memory_resolve(void *value) {
        *(MemorySize *) value = (MemorySize){ .bytes = memory_size_bytes(*(const MemorySize *) value) };
}
_Static_assert(offsetof(MemorySize, bytes) == 0, "what is stored of a size are its bytes");

static bool in_range(const SettingInfo *info, uint64_t number) {
        return number >= info->min && (info->max == 0 || number <= info->max) &&
               (info->multiple_of == 0 || number % info->multiple_of == 0);
}

/* "infinity" is for rows without a maximum. */
static int number_assign(const SettingInfo *info, const char *text, void *value) {
        uint64_t number = UINT64_MAX;

        if (info->max != 0 || !streq(text, "infinity")) {
                int r = parse_uint64(text, &number);
                if (r < 0)
                        return r;
        }
        if (!in_range(info, number))
                return -ERANGE;
        *(uint64_t *) value = number;
        return 0;
}

static int number_format(const void *value, char **ret) {
        uint64_t number = *(const uint64_t *) value;

        return number == UINT64_MAX ? string_printf(ret, "infinity") : string_printf(ret, "%" PRIu64, number);
}

const SettingType setting_number = {
        .expect = "a whole number",
        .assign = number_assign,
        .format = number_format,
        .copy = number_copy,
        .record = RECORD_NUMBER,
};

typedef struct Unit {
        const char *name;
        uint64_t size;
} Unit;

#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

/* The spellings of systemd.time(7), up to a day. The first spelling of each length is the one that we write. */
static const Unit time_units[] = {
        { "d", USEC_PER_DAY },
        { "h", USEC_PER_HOUR },
        { "min", USEC_PER_MINUTE },
        { "s", USEC_PER_SEC },
        { "ms", USEC_PER_MSEC },
        { "us", 1 },
        { "day", USEC_PER_DAY },
        { "days", USEC_PER_DAY },
        { "hr", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },
        { "m", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE },
        { "minutes", USEC_PER_MINUTE },
        { "sec", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },
        { "msec", USEC_PER_MSEC },
        { "usec", 1 },
        { "", USEC_PER_SEC },
};

/* Finds the unit whose name is the @length bytes at @text. */
static const Unit *unit_find(const Unit *units, size_t n_units, const char *text, size_t length) {
        for (size_t i = 0; i < n_units; i++)
                if (strncmp(units[i].name, text, length) == 0 && units[i].name[length] == 0)
                        return units + i;
        return NULL;
}

/* Parses a time as systemd writes it: "90", "90s", "1min 30s", "1.5h", "infinity". 0; -EINVAL: it is no time; or
 * -ERANGE: it is too long. */
static int parse_time_usec(const char *text, uint64_t *ret_usec) {
        uint64_t total = 0;

        if (streq(text, "infinity")) {
                *ret_usec = USEC_INFINITY;
                return 0;
        }

        do {
                uint64_t whole, fraction, usec;
                int r = parse_decimal(&text, &whole, &fraction);
                if (r < 0)
                        return r;

                text += strspn(text, " ");
                size_t length = strcspn(text, " .0123456789");
                const Unit *unit = unit_find(time_units, ELEMENTSOF(time_units), text, length);
                if (!unit)
                        return -EINVAL;
                text += length;
                text += strspn(text, " ");

                r = scale_decimal(whole, fraction, unit->size, &usec);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(total, usec, &total) || total == USEC_INFINITY)
                        return -ERANGE;
        } while (*text);

        *ret_usec = total;
        return 0;
}

static int time_assign(const SettingInfo *info, const char *text, void *value) {
        uint64_t usec;

        int r = parse_time_usec(text, &usec);
        if (r < 0)
                return r;
        if (!in_range(info, usec))
                return -ERANGE;
        *(uint64_t *) value = usec;
        return 0;
}

static int time_format(const void *value, char **ret) {
        uint64_t usec = *(const uint64_t *) value;

        if (usec == USEC_INFINITY)
                return string_printf(ret, "infinity");
        if (usec == 0)
                return string_printf(ret, "0s");

        /* Uses the largest unit that divides the time; one minute, hour or day stays in the smaller unit. */
        for (const Unit *unit = time_units;; unit++)
                if (usec % unit->size == 0 && (unit->size < USEC_PER_MINUTE || usec / unit->size > 1))
                        return string_printf(ret, "%" PRIu64 "%s", usec / unit->size, unit->name);
}

const SettingType setting_time = {
        .expect = "a time such as 30s, 2min or infinity",
        .assign = time_assign,
        .format = time_format,
        .copy = number_copy,
        .record = RECORD_NUMBER,
};

/* --- sizes --- */

static const Unit size_units[] = {
        { "T", UINT64_C(1) << 40 },
        { "G", UINT64_C(1) << 30 },
        { "M", UINT64_C(1) << 20 },
        { "K", UINT64_C(1) << 10 },
        { "B", 1 },
        { "", 1 },
};

static int memory_assign(const SettingInfo *info, const char *text, void *value) {
        MemorySize *size = value;
        uint64_t whole, fraction, number;

        if (streq(text, "infinity")) {
                *size = (MemorySize){ .bytes = UINT64_MAX };
                return 0;
        }

        int r = parse_decimal(&text, &whole, &fraction);
        if (r < 0)
                return r;

        if (streq(text, "%")) {
                r = scale_decimal(whole, fraction, 100, &number);
                if (r < 0)
                        return r;
                if (number < 1 || number > 10000)
                        return -ERANGE;
                *size = (MemorySize){ .permyriad = (unsigned) number };
                return 0;
        }

        const Unit *unit = unit_find(size_units, ELEMENTSOF(size_units), text, strlen(text));
        if (!unit)
                return -EINVAL;
        r = scale_decimal(whole, fraction, unit->size, &number);
        if (r < 0)
                return r;
        if (number == UINT64_MAX || !in_range(info, number))
                return -ERANGE;
        *size = (MemorySize){ .bytes = number };
        return 0;
}

static int memory_format(const void *value, char **ret) {
        const MemorySize *size = value;

        if (size->permyriad % 100 != 0)
                return string_printf(ret, "%u.%02u%%", size->permyriad / 100, size->permyriad % 100);
        if (size->permyriad != 0)
                return string_printf(ret, "%u%%", size->permyriad / 100);
        if (size->bytes == UINT64_MAX || size->bytes == 0)
                return string_printf(ret, size->bytes == 0 ? "0" : "infinity");
        for (const Unit *unit = size_units;; unit++)
                if (size->bytes % unit->size == 0 && size->bytes >= unit->size)
                        return string_printf(ret, "%" PRIu64 "%s", size->bytes / unit->size,
                                             unit->size == 1 ? "" : unit->name);
}

const SettingType setting_memory = {
        .expect = "a size such as 512M or 2G, a percentage of the host's memory such as 30%, or infinity",
        .assign = memory_assign,
        .format = memory_format,
        .copy = memory_copy,
        .record = RECORD_NUMBER,
        .resolve = memory_resolve,
};

/* Assigns a size without percentages. */
static int size_assign(const SettingInfo *info, const char *text, void *value) {
        MemorySize size;

        int r = memory_assign(info, text, &size);
        if (r < 0)
                return r;
        if (size.permyriad != 0)
                return -EINVAL;
        *(uint64_t *) value = size.bytes;
        return r;
}

static int size_format(const void *value, char **ret) {
        MemorySize size = { .bytes = *(const uint64_t *) value };

        return memory_format(&size, ret);
}

const SettingType setting_size = {
        .expect = "a size such as 512M or 20G, or infinity",
        .assign = size_assign,
        .format = size_format,
        .copy = number_copy,
        .record = RECORD_NUMBER,
};

/* Assigns a size or a share of a file system. The file system is not known yet, so shares are never resolved. */
static int space_assign(const SettingInfo *info, const char *text, void *value) {
        return streq(text, "infinity") ? -EINVAL : memory_assign(info, text, value);
}

const SettingType setting_space = {
        .expect = "a size such as 20G, a percentage of the file system such as 5%, or 0",
        .assign = space_assign,
        .format = memory_format,
        .copy = memory_copy,
        .record = RECORD_NUMBER,
};
