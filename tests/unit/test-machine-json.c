/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <jansson.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "machine/directory.h"

typedef enum Kind { STRING, LIST, BOOL, NUMBER, NETWORK, WAY_OUT, BOOT, CACHE, BUILDS } Kind;

typedef struct Field {
        const char *key;
        Kind kind;
        size_t offset;
        bool required;
} Field;

/* Every field of Machine that is no setting, told here once more: one that machine-json.c forgets shows. */
#define ROW(name, kind, required) \
        { #name, kind, offsetof(Machine, name), required }
static const Field facts[] = {
        ROW(id, STRING, true),
        ROW(name, STRING, true),
        ROW(hostname, STRING, false),
        ROW(directory, STRING, true),
        ROW(layer, STRING, true),
        ROW(image, STRING, true),
        ROW(image_path, STRING, true),
        ROW(image_handle, STRING, false),
        ROW(agent_path, STRING, true),
        ROW(preload, STRING, false),
        ROW(supervisor, STRING, true),
        ROW(init, STRING, false),
        ROW(uuid, STRING, true),
        ROW(generation, NUMBER, false),
        ROW(environment, LIST, false),
        ROW(user, STRING, false),
        ROW(working_dir, STRING, false),
        ROW(builds_dir, STRING, false),
        ROW(bash_path, STRING, false),
        ROW(runner_path, STRING, false),
        ROW(job_name, STRING, false),
        ROW(job_stage, STRING, false),
        ROW(project, STRING, false),
        ROW(job_url, STRING, false),
        ROW(started_by, STRING, false),
        ROW(names, LIST, false),
        ROW(command, LIST, false),
        ROW(directories, LIST, false),
        ROW(boot_target, STRING, false),
        ROW(ports, LIST, false),
        ROW(lack, STRING, false),
        ROW(helper, STRING, false),
        ROW(helper_path, STRING, false),
        ROW(helper_handle, STRING, false),
        ROW(helper_generation, NUMBER, false),
        ROW(helper_environment, LIST, false),
        ROW(network_of, STRING, false),
        ROW(network_number, NUMBER, false),
        ROW(hosts, LIST, false),
        ROW(has_segment, BOOL, false),
        ROW(interactive, BOOL, true),
        ROW(lazy, BOOL, false),
        ROW(volumes, LIST, false),
        ROW(seccomp_filter, STRING, false),
        ROW(runtime_max_usec, NUMBER, false),
        ROW(since_usec, NUMBER, true),
        ROW(owner_pid, NUMBER, false),
        ROW(owner_start, NUMBER, false),
};

/* Those, and the settings of machines. */
static Field fields[ELEMENTSOF(facts) + SETTINGS_MAX];
static size_t n_fields;

static Kind kind_of(const SettingType *type) {
        if (type == &setting_boolean)
                return BOOL;
        if (type == &setting_network)
                return NETWORK;
        if (type == &setting_network_backend)
                return WAY_OUT;
        if (type == &setting_boot)
                return BOOT;
        if (type == &setting_cache)
                return CACHE;
        if (type == &setting_builds)
                return BUILDS;
        if (type == &setting_list)
                return LIST;
        return type == &setting_string || type == &setting_optional_string ? STRING : NUMBER;
}

static int setup_fields(_unused_ void **state) {
        static const Settings settings;

        memcpy(fields, facts, sizeof(facts));
        n_fields = ELEMENTSOF(facts);
        for (size_t i = 0; settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);
                size_t offset = (size_t) ((char *) setting_field(&settings, info) - (const char *) &settings);

                if (setting_is_machine(info))
                        fields[n_fields++] = (Field){ setting_name(info), kind_of(info->type),
                                                      offsetof(Machine, settings) + offset, !info->type->nullable };
        }
        return 0;
}

static size_t size_of(Kind kind) {
        static const size_t sizes[] = {
                [STRING] = sizeof(char *),   [LIST] = sizeof(char **),        [BOOL] = sizeof(bool),
                [NUMBER] = sizeof(uint64_t), [NETWORK] = sizeof(NetworkMode), [BOOT] = sizeof(BootMode),
                [CACHE] = sizeof(CacheMode), [BUILDS] = sizeof(BuildsMode),   [WAY_OUT] = sizeof(WayOut),
        };
        return sizes[kind];
}

static void *field(const Machine *machine, size_t i) {
        return (char *) machine + fields[i].offset;
}

/* The table above covers the struct, but for padding: a new field fails here until it is in both tables. */
static void test_no_field_missing(_unused_ void **state) {
        unsigned char covered[sizeof(Machine)] = { 0 };
        size_t hole = 0;

        memset(covered + offsetof(Machine, settings), 1, sizeof(Settings));
        for (size_t i = 0; i < n_fields; i++)
                memset(covered + fields[i].offset, 1, size_of(fields[i].kind));
        for (size_t i = 0; i < sizeof(Machine); i++) {
                hole = covered[i] ? 0 : hole + 1;
                /* What fills up to an 8-byte border after a bool or an enumeration is at most 7 bytes. */
                assert_true(hole < 8);
        }
}

/* Values that differ from field to field. */
static Machine *make_machine(void) {
        Machine *machine = calloc(1, sizeof(Machine));

        assert_non_null(machine);
        for (size_t i = 0; i < n_fields; i++) {
                void *value = field(machine, i);

                switch (fields[i].kind) {
                case STRING:
                        assert_int_equal(string_printf(value, "%s \"\\\n\t<\xc3\xa4>", fields[i].key), 0);
                        break;
                case LIST:
                        assert_int_equal(strv_extendf(value, "/%s:/x", fields[i].key), 0);
                        assert_int_equal(strv_extend(value, ""), 0);
                        break;
                case BOOL:
                        *(bool *) value = true;
                        break;
                case NUMBER:
                        *(uint64_t *) value = (UINT64_C(1) << 62) + i;
                        break;
                case NETWORK:
                        *(NetworkMode *) value = NETWORK_NONE;
                        break;
                case WAY_OUT:
                        *(WayOut *) value = WAY_OUT_PASTA;
                        break;
                case BOOT:
                        *(BootMode *) value = BOOT_NO;
                        break;
                case CACHE:
                        *(CacheMode *) value = CACHE_NONE;
                        break;
                case BUILDS:
                        *(BuildsMode *) value = BUILDS_PERSISTENT;
                        break;
                }
        }
        return machine;
}

static void check_equal(const Machine *a, const Machine *b) {
        for (size_t i = 0; i < n_fields; i++) {
                const void *x = field(a, i), *y = field(b, i);

                switch (fields[i].kind) {
                case STRING:
                        assert_row(streq_null(*(char *const *) x, *(char *const *) y), i, fields[i].key);
                        break;
                case LIST: {
                        char *const *v = *(char **const *) x, *const *w = *(char **const *) y;

                        assert_row(strv_length(v) == strv_length(w), i, fields[i].key);
                        for (; v && *v; v++, w++)
                                assert_row(streq(*v, *w), i, *v);
                        break;
                }
                default:
                        assert_row(memcmp(x, y, size_of(fields[i].kind)) == 0, i, fields[i].key);
                }
        }
}

static MachineDirectory job_directory(void **state) {
        MachineDirectory directory = { .path = strdup(*state), .fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };

        assert_true(directory.fd >= 0);
        return directory;
}

static void test_round_trip(void **state) {
        _cleanup_machine_directory_ MachineDirectory directory = job_directory(state);
        _cleanup_machine_ Machine *machine = make_machine(), *loaded = NULL;
        struct stat st;

        assert_int_equal(machine_save(machine, &directory), 0);
        assert_int_equal(machine_load(&directory, &loaded), 0);
        check_equal(machine, loaded);
        assert_int_equal(fstatat(directory.fd, "machine.json", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
}

/* The other value of everything: nothing there, no limit, 0, false. */
static void test_round_trip_least(void **state) {
        static const uint64_t numbers[] = { 0, 1, INT64_MAX, UINT64_MAX };

        for (size_t n = 0; n < ELEMENTSOF(numbers); n++) {
                _cleanup_machine_directory_ MachineDirectory directory = job_directory(state);
                _cleanup_machine_ Machine *machine = make_machine(), *loaded = NULL;

                for (size_t i = 0; i < n_fields; i++) {
                        void *value = field(machine, i);

                        if (fields[i].kind == STRING)
                                assert_int_equal(string_replace(value, fields[i].required ? "" : NULL), 0);
                        else if (fields[i].kind == LIST)
                                strv_free(*(char ***) value), *(char ***) value = NULL;
                        else if (fields[i].kind == BOOL)
                                *(bool *) value = false;
                        else if (fields[i].kind == NETWORK)
                                *(NetworkMode *) value = NETWORK_HOST;
                        else if (fields[i].kind == WAY_OUT)
                                *(WayOut *) value = WAY_OUT_AUTO;
                        else if (fields[i].kind == BOOT)
                                *(BootMode *) value = BOOT_AUTO;
                        else if (fields[i].kind == CACHE)
                                *(CacheMode *) value = CACHE_PROJECT;
                        else if (fields[i].kind == BUILDS)
                                *(BuildsMode *) value = BUILDS_EPHEMERAL;
                        else
                                *(uint64_t *) value = numbers[n];
                }
                assert_int_equal(machine_save(machine, &directory), 0);
                assert_int_equal(machine_load(&directory, &loaded), 0);
                check_equal(machine, loaded);
        }
}

/* Nothing is written of what could not be read again. */
static void test_no_utf8(void **state) {
        static const char *const table[] = { "\xff", "a\xc3", "\xed\xa0\x80" };
        _cleanup_machine_directory_ MachineDirectory directory = job_directory(state);

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_machine_ Machine *machine = make_machine(), *other = make_machine();

                assert_int_equal(string_replace(&machine->image_path, table[i]), 0);
                assert_row(machine_save(machine, &directory) == -EILSEQ, i, table[i]);
                assert_int_equal(strv_extend(&other->settings.bind, table[i]), 0);
                assert_row(machine_save(other, &directory) == -EILSEQ, i, table[i]);
                assert_int_equal(faccessat(directory.fd, "machine.json", F_OK, 0), -1);
        }
}

static int load(const MachineDirectory *directory, const char *text, Machine **ret) {
        assert_int_equal(file_replace_at(directory->fd, "machine.json", text, strlen(text), 0600), 0);
        return machine_load(directory, ret);
}

/* What machine_save() writes of make_machine(). */
static char *saved_text(const MachineDirectory *directory) {
        _cleanup_machine_ Machine *machine = make_machine();
        char *text;

        assert_int_equal(machine_save(machine, directory), 0);
        assert_int_equal(file_read_at(directory->fd, "machine.json", 1 << 20, &text, NULL), 0);
        return text;
}

/* Loads @object, with @value for @key (NULL: without @key). All are borrowed; @object is afterwards what it was. */
static int load_with(const MachineDirectory *directory, json_t *object, const char *key, json_t *value, Machine **ret) {
        json_auto_t *before = json_incref(json_object_get(object, key));
        _cleanup_free_ char *text = NULL;

        if (value)
                assert_int_equal(json_object_set(object, key, value), 0);
        else
                assert_int_equal(json_object_del(object, key), 0);
        text = json_dumps(object, 0);
        if (before)
                assert_int_equal(json_object_set(object, key, before), 0);
        else
                assert_int_equal(json_object_del(object, key), 0);
        return load(directory, text, ret);
}

static void test_missing(void **state) {
        _cleanup_machine_directory_ MachineDirectory directory = job_directory(state);
        _cleanup_free_ char *text = saved_text(&directory);
        json_auto_t *object = json_loads(text, 0, NULL);

        for (size_t i = 0; i < n_fields; i++) {
                _cleanup_machine_ Machine *machine = NULL;
                int r = load_with(&directory, object, fields[i].key, NULL, &machine);

                assert_row(r == (fields[i].required ? -EBADMSG : 0), i, fields[i].key);
                if (r < 0)
                        assert_row(!machine, i, fields[i].key);
                else if (fields[i].kind == NUMBER)
                        /* a setting that may be unset is */
                        assert_row(*(uint64_t *) field(machine, i) == (i < ELEMENTSOF(facts) ? UINT64_MAX : 0), i,
                                   fields[i].key);
                else if (fields[i].kind == BOOL)
                        assert_row(!*(bool *) field(machine, i), i, fields[i].key);
                else
                        assert_row(!*(void **) field(machine, i), i, fields[i].key);
        }
}

static void test_wrong_types(void **state) {
        static const struct {
                const char *value;
                unsigned fine; /* kinds that take it, as bits */
        } table[] = {
                { "null", 1 << NUMBER },
                { "true", 1 << BOOL },
                { "7", 1 << NUMBER },
                { "-7", 0 },
                { "1.5", 0 },
                { "\"text\"", 1 << STRING },
                { "\"none\"", 1 << STRING | 1 << NETWORK | 1 << CACHE },
                { "\"project\"", 1 << STRING | 1 << CACHE },
                { "\"persistent\"", 1 << STRING | 1 << BUILDS },
                { "\"pasta\"", 1 << STRING | 1 << WAY_OUT },
                { "\"host\"", 1 << STRING | 1 << NETWORK },
                { "\"auto\"", 1 << STRING | 1 << BOOT | 1 << WAY_OUT },
                { "{}", 0 },
                { "[]", 1 << LIST },
                { "[\"a\"]", 1 << LIST },
                { "[\"a\", 7]", 0 },
                { "[null]", 0 },
                { "[[\"a\"]]", 0 },
        };
        _cleanup_machine_directory_ MachineDirectory directory = job_directory(state);
        _cleanup_free_ char *text = saved_text(&directory);
        json_auto_t *least = json_loads(text, 0, NULL);

        /* What need not be there would only have to be read, again and again. */
        for (size_t i = 0; i < n_fields; i++)
                if (!fields[i].required)
                        assert_int_equal(json_object_del(least, fields[i].key), 0);
        for (size_t row = 0; row < ELEMENTSOF(table); row++) {
                json_auto_t *value = json_loads(table[row].value, JSON_DECODE_ANY, NULL);

                for (size_t i = 0; i < n_fields; i++) {
                        _cleanup_machine_ Machine *machine = NULL;
                        bool fine = (table[row].fine & 1U << fields[i].kind) ||
                                    (json_is_null(value) && !fields[i].required);
                        int r = load_with(&directory, least, fields[i].key, value, &machine);

                        assert_row(r == (fine ? 0 : -EBADMSG), row, fields[i].key);
                }
        }
}

static void test_malformed(void **state) {
        static const char *const table[] = {
                "", " ", "null", "[]", "7", "{}", "{", "x", "{\"id\":\"a\"}", "{\"id\":\"a\\u0000b\"}", "\xff",
        };
        _cleanup_machine_directory_ MachineDirectory directory = job_directory(state);
        Machine *machine = NULL;

        assert_int_equal(machine_load(&directory, &machine), -ENOENT);
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(load(&directory, table[i], &machine) == -EBADMSG && !machine, i, table[i]);

        /* What is not needed is not looked at; what ends early is nothing. */
        _cleanup_machine_ Machine *saved = make_machine(), *loaded = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        assert_int_equal(machine_save(saved, &directory), 0);
        assert_int_equal(file_read_at(directory.fd, "machine.json", 1 << 20, &text, &size), 0);
        for (size_t n = 0; n < size; n += 50) {
                assert_int_equal(file_replace_at(directory.fd, "machine.json", text, n, 0600), 0);
                assert_int_equal(machine_load(&directory, &machine), -EBADMSG);
        }
        text[0] = ' ';
        _cleanup_free_ char *more = NULL;
        assert_int_equal(string_printf(&more, "{\"unknown\": 7, %s", text), 0);
        assert_int_equal(load(&directory, more, &loaded), 0);
        check_equal(saved, loaded);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_field_missing),
        cmocka_unit_test_setup_teardown(test_round_trip, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_round_trip_least, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_utf8, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_missing, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_wrong_types, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_malformed, setup_directory, teardown_directory),
};
UNIT_FILE(tests, .setup = setup_fields);
