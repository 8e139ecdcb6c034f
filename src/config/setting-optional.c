/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The types of settings that are numbers, sizes or times, and that may be unset: 0 means unset, and rows do not allow 0
 * as a value. Reached through SettingType only. Every printed text must read back as the same value. */

#include "base/string.h"
#include "config/setting-type.h"
#include "config/value.h"

static int optional_number_assign(const SettingInfo *info, const char *text, void *value) {
        return setting_number.assign(info, text, value);
}

static int optional_number_format(const void *value, char **ret) {
        return *(const uint64_t *) value == 0 ? string_printf(ret, "null") : setting_number.format(value, ret);
}

static int number_copy(const void *from, void *to) {
        return setting_number.copy(from, to);
}

static void number_clear(void *value) {
        *(uint64_t *) value = 0;
}

const SettingType setting_optional_number = {
        .expect = "a number, or null",
        .nullable = true,
        .assign = optional_number_assign,
        .format = optional_number_format,
        .copy = number_copy,
        .record = RECORD_NUMBER,
        .clear = number_clear,
};

static bool memory_is_set(const MemorySize *size) {
        return size->bytes != 0 || size->permyriad != 0;
}

static int optional_memory_assign(const SettingInfo *info, const char *text, void *value) {
        return setting_memory.assign(info, text, value);
}

static int optional_memory_format(const void *value, char **ret) {
        return memory_is_set(value) ? setting_memory.format(value, ret) : string_printf(ret, "null");
}

static int memory_copy(const void *from, void *to) {
        return setting_memory.copy(from, to);
}

static void memory_resolve(void *value) {
        if (memory_is_set(value))
                setting_memory.resolve(value);
}

static void memory_clear(void *value) {
        *(MemorySize *) value = (MemorySize){ 0 };
}

const SettingType setting_optional_memory = {
        .expect = "a size such as 512M or 2G, a percentage of the host's memory such as 30%, infinity, or null",
        .nullable = true,
        .assign = optional_memory_assign,
        .format = optional_memory_format,
        .copy = memory_copy,
        .record = RECORD_NUMBER,
        .resolve = memory_resolve,
        .clear = memory_clear,
};

/* GitLab Runner's configuration has a negative number for "not at all". */
static int wait_assign(const SettingInfo *info, const char *text, void *value) {
        uint64_t number;

        if (text[0] == '-' && parse_uint64(text + 1, &number) >= 0) {
                *(uint64_t *) value = 0;
                return 0;
        }
        return setting_time.assign(info, text, value);
}

static int wait_format(const void *value, char **ret) {
        return *(const uint64_t *) value == 0 ? string_printf(ret, "-1") : setting_time.format(value, ret);
}

const SettingType setting_wait = {
        .expect = "a time such as 30s or 2min, or a negative number for not waiting",
        .assign = wait_assign,
        .format = wait_format,
        .copy = number_copy,
        .record = RECORD_NUMBER,
};
