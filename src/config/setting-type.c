/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/setting-type.h"

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#include "base/string.h"

/* Numbers with a fraction, as in "1.5G", are read exactly, in millionths. */
#define FRACTION UINT64_C(1000000)

/* Reads digits with an optional fraction from *@text and moves it behind them. The result is @ret_whole +
 * @ret_fraction / FRACTION; what is finer than that is dropped. */
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

/* @whole + @fraction / FRACTION, in units of @unit. */
static int scale_decimal(uint64_t whole, uint64_t fraction, uint64_t unit, uint64_t *ret) {
        uint64_t scaled;

        if (__builtin_mul_overflow(whole, unit, &scaled) ||
            __builtin_add_overflow(scaled, (uint64_t) ((unsigned __int128) fraction * unit / FRACTION), &scaled))
                return -ERANGE;
        *ret = scaled;
        return 0;
}

const char *setting_expect(const SettingInfo *info, int error) {
        return error == -ERANGE && info->expect ? info->expect : info->type->expect;
}

/* --- booleans and choices --- */

/* For values that own nothing. */
#define DEFINE_COPY(name, type)                              \
        static int name##_copy(const void *from, void *to) { \
                *(type *) to = *(const type *) from;         \
                return 0;                                    \
        }
DEFINE_COPY(boolean, bool)
DEFINE_COPY(boot, BootMode)
DEFINE_COPY(network, NetworkMode)
DEFINE_COPY(pull, PullPolicy)
DEFINE_COPY(number, uint64_t)
DEFINE_COPY(memory, MemorySize)

static int parse_boolean(const char *text, bool *ret) {
        static const char *const names[2][6] = {
                { "no", "false", "off", "0", "n", "f" },
                { "yes", "true", "on", "1", "y", "t" },
        };

        for (unsigned value = 0; value < 2; value++)
                for (unsigned i = 0; i < ELEMENTSOF(names[value]); i++)
                        if (strcasecmp(text, names[value][i]) == 0) {
                                *ret = value;
                                return 0;
                        }
        return -EINVAL;
}

static int boolean_assign(_unused_ const SettingInfo *info, const char *text, void *value) {
        return parse_boolean(text, value);
}

static int boolean_format(const void *value, char **ret) {
        return string_printf(ret, "%s", *(const bool *) value ? "yes" : "no");
}

const SettingType setting_boolean = {
        .expect = "yes or no",
        .assign = boolean_assign,
        .format = boolean_format,
        .copy = boolean_copy,
};

static int boot_assign(_unused_ const SettingInfo *info, const char *text, void *value) {
        bool boolean;

        if (streq(text, "auto"))
                *(BootMode *) value = BOOT_AUTO;
        else if (parse_boolean(text, &boolean) >= 0)
                *(BootMode *) value = boolean ? BOOT_YES : BOOT_NO;
        else
                return -EINVAL;
        return 0;
}

static int boot_format(const void *value, char **ret) {
        static const char *const names[] = { [BOOT_AUTO] = "auto", [BOOT_YES] = "yes", [BOOT_NO] = "no" };

        return string_printf(ret, "%s", names[*(const BootMode *) value]);
}

const SettingType setting_boot = {
        .expect = "auto, yes or no",
        .assign = boot_assign,
        .format = boot_format,
        .copy = boot_copy,
};

/* Names of an enum's values, from 0 on, which is stored as an unsigned. */
typedef struct Choice {
        const char *const *names;
        unsigned n;
} Choice;

static int choice_assign(const Choice *choice, const char *text, void *value) {
        for (unsigned i = 0; i < choice->n; i++)
                if (streq(text, choice->names[i])) {
                        *(unsigned *) value = i;
                        return 0;
                }
        return -EINVAL;
}

static int choice_format(const Choice *choice, const void *value, char **ret) {
        return string_printf(ret, "%s", choice->names[*(const unsigned *) value]);
}

#define DEFINE_CHOICE(setting, ...)                                                                    \
        static const char *const setting##_names[] = { __VA_ARGS__ };                                  \
        static const Choice setting##_choice = { setting##_names, ELEMENTSOF(setting##_names) };       \
        static int setting##_assign(_unused_ const SettingInfo *info, const char *text, void *value) { \
                return choice_assign(&setting##_choice, text, value);                                  \
        }                                                                                              \
        static int setting##_format(const void *value, char **ret) {                                   \
                return choice_format(&setting##_choice, value, ret);                                   \
        }
DEFINE_CHOICE(network, [NETWORK_HOST] = "host", [NETWORK_NONE] = "none")
DEFINE_CHOICE(pull, [PULL_NEVER] = "never", [PULL_IF_NOT_PRESENT] = "if-not-present", [PULL_ALWAYS] = "always")
_Static_assert(sizeof(NetworkMode) == sizeof(unsigned) && sizeof(PullPolicy) == sizeof(unsigned),
               "choices are stored as unsigned");

const SettingType setting_pull = {
        .expect = "always, if-not-present or never",
        .assign = pull_assign,
        .format = pull_format,
        .copy = pull_copy,
};

const SettingType setting_network = {
        .expect = "host or none",
        .assign = network_assign,
        .format = network_format,
        .copy = network_copy,
};

/* --- numbers --- */

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
};

typedef struct Unit {
        const char *name;
        uint64_t size;
} Unit;

#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

/* The spellings that systemd.time(7) knows, up to a day. The first ones of a size are those that we write. */
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

int parse_time_usec(const char *text, uint64_t *ret_usec) {
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

        /* The largest unit that divides it; what would be one minute, hour or day is left in the smaller unit. */
        for (const Unit *unit = time_units;; unit++)
                if (usec % unit->size == 0 && (unit->size < USEC_PER_MINUTE || usec / unit->size > 1))
                        return string_printf(ret, "%" PRIu64 "%s", usec / unit->size, unit->name);
}

const SettingType setting_time = {
        .expect = "a time such as 30s, 2min or infinity",
        .assign = time_assign,
        .format = time_format,
        .copy = number_copy,
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
        if (size->bytes == UINT64_MAX)
                return string_printf(ret, "infinity");
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
};

/* The same without percentages. */
static int size_assign(const SettingInfo *info, const char *text, void *value) {
        MemorySize size;

        int r = memory_assign(info, text, &size);
        if (r >= 0 && size.permyriad != 0)
                return -EINVAL;
        if (r >= 0)
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
};

/* --- strings and lists --- */

/* Appends @text as a YAML scalar that reads as exactly this string, plain where it can be. Control characters never
 * get here: no check lets them through. */
static int format_scalar(char **target, const char *text) {
        bool plain = (isalnum((unsigned char) text[0]) || text[0] == '/') && strcasecmp(text, "null") != 0;
        size_t length = *target ? strlen(*target) : 0, size = length + 2 * strlen(text) + 3;

        for (const char *p = text; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("/._-+@%", *p))
                        plain = false;

        char *grown = realloc(*target, size);
        if (!grown)
                return -ENOMEM;
        *target = grown;

        char *out = grown + length;
        if (!plain)
                *out++ = '\'';
        for (const char *p = text; *p; p++) {
                if (*p == '\'')
                        *out++ = '\'';
                *out++ = *p;
        }
        if (!plain)
                *out++ = '\'';
        *out = 0;
        return 0;
}

static int string_assign(const SettingInfo *info, const char *text, void *value) {
        if (!info->check(text))
                return -ERANGE;
        return string_replace(value, text);
}

static int string_format(const void *value, char **ret) {
        const char *text = *(char *const *) value;
        _cleanup_free_ char *formatted = NULL;

        if (!text)
                return string_printf(ret, "null");
        if (format_scalar(&formatted, text) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(formatted);
        return 0;
}

static void string_clear(void *value) {
        free(*(char **) value);
        *(char **) value = NULL;
}

static int string_copy(const void *from, void *to) {
        return string_replace(to, *(char *const *) from);
}

const SettingType setting_string = {
        .assign = string_assign,
        .format = string_format,
        .copy = string_copy,
        .clear = string_clear,
};

const SettingType setting_optional_string = {
        .nullable = true,
        .assign = string_assign,
        .format = string_format,
        .copy = string_copy,
        .clear = string_clear,
};

static int list_assign(const SettingInfo *info, const char *text, void *value) {
        if (!info->check(text))
                return -ERANGE;
        return strv_extend(value, text);
}

static int list_format(const void *value, char **ret) {
        _cleanup_free_ char *formatted = NULL;

        for (char *const *item = *(char **const *) value; item && *item; item++) {
                if (formatted) {
                        char *grown;
                        if (string_printf(&grown, "%s, ", formatted) < 0)
                                return -ENOMEM;
                        free(formatted);
                        formatted = grown;
                }
                if (format_scalar(&formatted, *item) < 0)
                        return -ENOMEM;
        }
        return string_printf(ret, "[%s]", formatted ? formatted : "");
}

static void list_clear(void *value) {
        strv_free(*(char ***) value);
        *(char ***) value = NULL;
}

static int list_copy(const void *from, void *to) {
        char **copy = NULL;

        int r = strv_copy(*(char **const *) from, &copy);
        if (r < 0)
                return r;
        list_clear(to);
        *(char ***) to = copy;
        return 0;
}

const SettingType setting_list = {
        .is_list = true,
        .nullable = true,
        .assign = list_assign,
        .format = list_format,
        .copy = list_copy,
        .clear = list_clear,
};

static int command_assign_text(const SettingInfo *info, const char *text, void *value) {
        static const char *const shell[] = { "/bin/sh", "-e", "-c" };
        _cleanup_strv_ char **command = NULL;

        if (!info->check(text))
                return -ERANGE;
        int r = 0;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(shell); i++)
                r = strv_extend(&command, shell[i]);
        if (r >= 0)
                r = strv_extend(&command, text);
        if (r < 0)
                return r;
        list_clear(value);
        *(char ***) value = TAKE_PTR(command);
        return 0;
}

const SettingType setting_command = {
        .is_list = true,
        .nullable = true,
        .assign = list_assign,
        .assign_text = command_assign_text,
        .format = list_format,
        .copy = list_copy,
        .clear = list_clear,
};
