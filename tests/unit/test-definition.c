/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "files.h"

#include "base/fd.h"
#include "base/string.h"
#include "config/config-data.h"
#include "definition/definition.h"

#define PLAY "- hosts: all\n  vars:\n"
#define VAR "    nspawn_runner_"

/* A file, and where and why it is refused; without a problem: it is not. */
static const struct {
        const char *text;
        unsigned line, column;
        const char *problem; /* a part of it */
} files[] = {
        /* fine */
        { "- hosts: all\n", 0, 0, NULL },
        { "- vars:\n", 0, 0, NULL },
        { "- vars: {}\n", 0, 0, NULL },
        { "---\n- name: x\n  vars: {a: 1, nspawn_runner_boot: no}\n...\n", 0, 0, NULL },
        { PLAY VAR "chroot_suite: bookworm\n" VAR "maint_recreate: yes\n", 0, 0, NULL },
        { PLAY VAR "chroot_suite: bookworm\n" VAR "mirror: http://m.example/debian\n" VAR "components: [main]\n" VAR
                   "packages: [vim, libc6:i386, git=1:2.3~1-1, zsh/sid]\n" VAR "variant: buildd\n" VAR
                   "keyring: /etc/own.gpg\n",
          0, 0, NULL },
        { PLAY VAR "chroot_suite: null\n" VAR "oci: busybox\n" VAR "keyring:\n", 0, 0, NULL },
        { PLAY VAR "bind: ['/a:/b']\n" VAR "memory_max: 1G\n" VAR "shell: null\n", 0, 0, NULL },
        { PLAY VAR "bind: &b [/a]\n    other: *b\n", 0, 0, NULL },
        /* the rest is ansible's */
        { PLAY "    a: &a [1, 2]\n    b: *a\n    c: !vault |\n      x\n    ? [x, y]\n    : z\n    a: 2\n", 0, 0, NULL },
        { "- hosts: all\n  tasks:\n    - vars: {nspawn_runner_nonsense: 1}\n- hosts: all\n  vars: 7\n"
          "- vars: {nspawn_runner_nonsense: 1}\n",
          0, 0, NULL },
        { "- hosts: &h all\n  vars: *h\n", 2, 9, "must be a mapping" },
        { PLAY "    <<: {a: b}\n" VAR "boot: no\n", 0, 0, NULL },
        { "- &play\n  hosts: all\n- *play\n", 0, 0, NULL },

        /* names */
        { PLAY VAR "bot: no\n", 3, 5, "unknown variable 'nspawn_runner_bot'; did you mean 'nspawn_runner_boot'?" },
        { PLAY VAR "suite: sid\n", 3, 5, "did you mean 'nspawn_runner_chroot_suite'?" },
        { PLAY VAR "chroot_mirror: x\n", 3, 5, "did you mean 'nspawn_runner_mirror'?" },
        { PLAY VAR "sha256: x\n", 3, 5, "did you mean 'nspawn_runner_tarball_sha256'?" },
        { PLAY VAR "chroot-suite: sid\n", 3, 5, "did you mean 'nspawn_runner_chroot_suite'?" },
        { PLAY "    nspawn-runner-boot: no\n", 3, 5, "did you mean 'nspawn_runner_boot'?" },
        { PLAY VAR "zzzzzzzzz: 1\n", 3, 5, "unknown variable 'nspawn_runner_zzzzzzzzz'; names that begin with" },
        { PLAY "    nspawn_runner_: 1\n", 3, 5, "unknown variable" },
        { PLAY "    nspawn-runner: 1\n", 3, 5, "unknown variable" },
        { PLAY VAR "root_dir: /x\n", 3, 5, "'root_dir' is a setting of the configuration file only" },
        { PLAY VAR "builds_dir: /x\n", 3, 5, "configuration file only" },
        { PLAY VAR "boot: no\n" VAR "boot: yes\n", 4, 5, "'nspawn_runner_boot' is set twice, first in line 3" },
        { PLAY VAR "test: a\n" VAR "test: b\n", 4, 5, "set twice" },
        { PLAY "    base: &b\n      nspawn_runner_boot: no\n    <<: *b\n", 5, 5, "come with '<<'" },
        { PLAY "    <<: {nspawn_runner_boot: no}\n", 3, 5, "come with '<<'" },
        { "- x: &b {vars: {nspawn_runner_boot: no}}\n  <<: *b\n", 2, 3, "come with '<<'" },
        { "- nspawn_runner_boot: no\n", 1, 3, "belongs into 'vars'" },
        { "- vars: {a: b}\n  vars: {b: c}\n", 2, 3, "'vars' is there twice" },

        /* values */
        { PLAY VAR "boot: perhaps\n", 3, 25, "'nspawn_runner_boot' must be auto, yes, no or eager" },
        { PLAY VAR "boot:\n", 3, 24, "has no value" },
        { PLAY VAR "boot: [no]\n", 3, 25, "one value, not a list" },
        { PLAY VAR "boot: !vault x\n", 3, 25, "tag '!vault'" },
        { PLAY "    a: &a no\n" VAR "boot: *a\n", 4, 25, "aliases" },
        { PLAY VAR "memory_max: lots\n", 3, 31, "a size such as 512M" },
        { PLAY VAR "memory_max: '{{ x }}'\n", 3, 31, "a size such as 512M" },
        { PLAY VAR "bind: ['/c:/s', '/c/d:/t']\n", 3, 5, "bind: '/c/d' is below '/c'" },
        { PLAY VAR "bind: ['/c:/sys/x']\n", 3, 5, "bind: '/c' cannot be mounted on '/sys/x'" },
        { PLAY VAR "bind: /a\n", 3, 25, "must be a list" },
        { PLAY VAR "storage: zfs\n", 3, 28, "auto, overlay, btrfs or tmpfs" },
        { PLAY VAR "chroot_suite: Not A Suite\n", 3, 33, "name of a suite" },
        { PLAY VAR "chroot_suite: [a]\n", 3, 33, "one value" },
        { PLAY VAR "mirror: ftp://x\n", 3, 27, "begins with http:// or https://" },
        { PLAY VAR "mirror: 'http://x y'\n", 3, 27, "begins with http:// or https://" },
        { PLAY VAR "mirror: 'http:///x'\n", 3, 27, "begins with http:// or https://" },
        { PLAY VAR "packages: vim\n", 3, 29, "must be a list, as in [a, b]" },
        { PLAY VAR "packages: ['a,b']\n", 3, 30, "a list of names of packages" },
        { PLAY VAR "packages: [--x]\n", 3, 30, "a list of names of packages" },
        { PLAY VAR "components: ['a b']\n", 3, 32, "names of components" },
        { PLAY VAR "variant: tiny\n", 3, 28, "minbase, essential" },
        { PLAY VAR "keyring: -x\n", 3, 28, "path of a file" },
        { PLAY VAR "oci: 'a b'\n", 3, 24, "a reference such as" },
        { PLAY VAR "oci: 'oci:'\n", 3, 24, "a reference such as" },
        { PLAY VAR "oci: --x\n", 3, 24, "a reference such as" },
        { PLAY VAR "oci: docker://\n", 3, 24, "a reference such as" },
        { PLAY VAR "oci: ftp://x\n", 3, 24, "a reference such as" },
        { PLAY VAR "tarball: ftp://x/y\n", 3, 28, "a path, or a URL" },
        { PLAY VAR "tarball: -x\n", 3, 28, "a path, or a URL" },
        { PLAY VAR "tarball: x/\n", 3, 28, "a path, or a URL" },
        { PLAY VAR "tarball_sha256: 12\n", 3, 35, "64 hexadecimal digits" },
        { PLAY VAR "from: a/b\n", 3, 25, "name of an image" },
        { PLAY VAR "from: this\n", 3, 5, "made from itself" },
        { PLAY VAR "maint_recreate: maybe\n", 3, 35, "yes or no" },
        { PLAY VAR "keep_generations: 0\n", 3, 37, "from 1 to 1000" },
        { PLAY VAR "keep_generations: 1001\n", 3, 37, "from 1 to 1000" },
        { PLAY VAR "create_command: {a: b}\n", 3, 35, "must be a list, as in [a, b], or a text" },
        { PLAY VAR "create_command: [a, [b]]\n", 3, 39, "list of plain values" },
        { PLAY VAR "create_command: [a, ]\n" VAR "test: ''\n", 4, 5, "'nspawn_runner_test' is empty" },
        { PLAY VAR "create_command: ' '\n", 3, 5, "'nspawn_runner_create_command' is empty" },
        { PLAY VAR "create_command: ['', x]\n", 3, 5, "'nspawn_runner_create_command' is empty" },
        { PLAY VAR "test: \"a\\0b\"\n", 3, 25, "NUL" },

        /* what does not go together */
        { PLAY VAR "oci: a\n" VAR "chroot_suite: sid\n", 4, 5, "both say what the image is made of" },
        { PLAY VAR "from: a\n" VAR "tarball: b\n", 4, 5, "both say what the image is made of" },
        { "- vars: {nspawn_runner_from: a, nspawn_runner_create_command: b}\n", 1, 33, "both say" },
        { PLAY VAR "mirror: http://x\n", 3, 5, "only for images with 'nspawn_runner_chroot_suite', which is missing" },
        { PLAY VAR "oci: a\n" VAR "packages: [b]\n", 4, 5, "only for images with 'nspawn_runner_chroot_suite'" },
        { PLAY VAR "oci: a\n" VAR "tarball_sha256: "
                   "0123456789012345678901234567890123456789012345678901234567890123\n",
          4, 5, "only for images with 'nspawn_runner_tarball'" },
        { PLAY VAR "tarball: https://x.example/y.tar.zst\n", 3, 5, "with 'nspawn_runner_tarball_sha256'" },

        /* shape */
        { "", 1, 1, "list of plays" },
        { "# nothing\n", 2, 1, "list of plays" },
        { "---\n", 2, 1, "list of plays" },
        { "nspawn_runner_boot: no\n", 1, 1, "list of plays" },
        { "all\n", 1, 1, "list of plays" },
        { "[]\n", 1, 2, "no play" },
        { "- all\n", 1, 3, "a play must be a mapping" },
        { "- hosts: all\n- [x]\n", 2, 3, "a play must be a mapping" },
        { "- vars: [a]\n", 1, 9, "'vars' must be a mapping" },
        { "- hosts: all\n---\n- hosts: all\n", 2, 1, "only one document" },

        /* syntax */
        { "- hosts: all\n  tasks:\n    - shell: 'x\n", 4, 1, "" },
        { "- hosts: all\n tasks: x\n", 2, 2, "" },
        { "- hosts: all\n  tasks: [*nowhere]\n", 0, 0, NULL }, /* ansible will say so */
        { "\xff\xfe\xff", 0, 0, "not a text file" },
        { "- a: \x01\n", 0, 0, "not a text file" },
};

static void test_files(_unused_ void **state) {
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                Problem problem = { .text = "" };
                _cleanup_definition_ Definition *definition = NULL;

                int r = definition_parse(files[i].text, strlen(files[i].text), "/d/this.yaml", "this", &definition,
                                         &problem);
                if (!files[i].problem) {
                        if (r < 0)
                                fail_msg("row %zu (%s): %u:%u: %s", i, files[i].text, problem.line, problem.column,
                                         problem.text);
                        continue;
                }
                assert_row(r == -EINVAL && !definition, i, files[i].text);
                if (problem.line != files[i].line || problem.column != files[i].column ||
                    !strstr(problem.text, files[i].problem))
                        fail_msg("row %zu (%s): %u:%u: %s", i, files[i].text, problem.line, problem.column,
                                 problem.text);
        }
}

static Definition *parse(const char *path, const char *name, const char *text) {
        Problem problem = { .text = "" };
        Definition *definition = NULL;

        if (definition_parse(text, strlen(text), path, name, &definition, &problem) < 0)
                fail_msg("%s: %u:%u: %s", text, problem.line, problem.column, problem.text);
        return definition;
}

static void assert_strv(char *const *v, const char *const *expected) {
        size_t i;

        for (i = 0; expected[i]; i++) {
                assert_true(v && i < strv_length(v));
                assert_string_equal(v[i], expected[i]);
        }
        assert_int_equal(strv_length(v), i);
}

static void test_defaults(_unused_ void **state) {
        _cleanup_definition_ Definition *definition = parse("/d/this.yaml", "this", "- hosts: all\n");

        assert_string_equal(definition->name, "this");
        assert_string_equal(definition->path, "/d/this.yaml");
        assert_int_equal(definition->source.kind, SOURCE_NONE);
        assert_false(definition->recreate || definition->has_tasks);
        assert_int_equal(definition->keep_generations, 2);
        assert_null(definition->test);
        assert_null(definition->source.suite);
        definition_free(NULL);
}

static void test_suite(_unused_ void **state) {
        _cleanup_definition_ Definition *definition = parse(
                "/d/this.yaml", "this",
                PLAY VAR "chroot_suite: bookworm\n" VAR "mirror: http://m.example/debian\n" VAR
                         "components: [main, contrib]\n" VAR "packages: [vim, zsh]\n" VAR "variant: apt\n" VAR
                         "keyring: own.gpg\n" VAR "maint_recreate: on\n" VAR "keep_generations: 5\n" VAR
                         "test: [systemctl, --version, '']\n");

        assert_int_equal(definition->source.kind, SOURCE_SUITE);
        assert_string_equal(definition->source.suite, "bookworm");
        assert_string_equal(definition->source.mirror, "http://m.example/debian");
        assert_strv(definition->source.components, (const char *[]){ "main", "contrib", NULL });
        assert_strv(definition->source.packages, (const char *[]){ "vim", "zsh", NULL });
        assert_string_equal(definition->source.variant, "apt");
        assert_string_equal(definition->source.keyring, "/d/own.gpg");
        assert_true(definition->recreate);
        assert_int_equal(definition->keep_generations, 5);
        assert_strv(definition->test, (const char *[]){ "systemctl", "--version", "", NULL });
}

static void test_commands(_unused_ void **state) {
        _cleanup_definition_ Definition *text = parse(
                "/d/this.yaml", "this",
                PLAY VAR "create_command: |\n      dnf --installroot $ROOT\n      true '{{ x }}'\n");
        _cleanup_definition_ Definition *list = parse("/d/this.yaml", "this",
                                                      PLAY VAR "create_command:\n      - ./make\n      - 7\n");

        assert_int_equal(text->source.kind, SOURCE_COMMAND);
        assert_strv(text->source.create_command,
                    (const char *[]){ "/bin/sh", "-e", "-c", "dnf --installroot $ROOT\ntrue '{{ x }}'\n", NULL });
        assert_strv(list->source.create_command, (const char *[]){ "./make", "7", NULL });
}

/* References and paths, and how they are kept. */
static void test_references(_unused_ void **state) {
        static const struct {
                const char *variable, *text, *path, *expected;
        } table[] = {
                { "oci", "busybox", "/d/x.yaml", "docker://busybox" },
                { "oci", "registry.example:5000/group/name:1.2", "/d/x.yaml",
                  "docker://registry.example:5000/group/name:1.2" },
                { "oci", "docker://a/b@sha256:00", "/d/x.yaml", "docker://a/b@sha256:00" },
                { "oci", "docker-daemon:a:latest", "/d/x.yaml", "docker-daemon:a:latest" },
                { "oci", "oci:/srv/layout:tag", "/d/x.yaml", "oci:/srv/layout:tag" },
                { "oci", "oci:layout:tag", "/d/x.yaml", "oci:/d/layout:tag" },
                { "oci", "oci-archive:./a.tar", "/d/x.yaml", "oci-archive:/d/a.tar" },
                { "oci", "/srv/layout", "/d/x.yaml", "oci:/srv/layout" },
                { "oci", "./layout:tag", "/d/x.yaml", "oci:/d/layout:tag" },
                { "oci", "./layout", "x.yaml", "oci:./layout" },
                { "tarball", "/srv/a.tar", "/d/x.yaml", "/srv/a.tar" },
                { "tarball", "a.tar", "/d/x.yaml", "/d/a.tar" },
                { "tarball", "../a b.tar", "/d e/x.yaml", "/d e/../a b.tar" },
                { "tarball", "a.tar", "x.yaml", "a.tar" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = NULL;

                assert_int_equal(string_printf(&text, PLAY VAR "%s: %s\n", table[i].variable, table[i].text), 0);
                _cleanup_definition_ Definition *definition = parse(table[i].path, "x", text);
                const char *value = streq(table[i].variable, "oci") ? definition->source.oci :
                                                                      definition->source.tarball;
                assert_row(streq_null(value, table[i].expected), i, value);
                assert_row(definition->source.kind == (streq(table[i].variable, "oci") ? SOURCE_OCI : SOURCE_TARBALL),
                           i, text);
        }

        _cleanup_definition_ Definition *url = parse(
                "/d/x.yaml", "x",
                PLAY VAR "tarball: https://x.example/y.tar\n" VAR "tarball_sha256: "
                         "ABCDEF789012345678901234567890123456789012345678901234567890123F\n");
        assert_string_equal(url->source.tarball, "https://x.example/y.tar");
        assert_string_equal(url->source.sha256, "abcdef789012345678901234567890123456789012345678901234567890123f");

        /* The directory counts too. */
        Problem problem;
        Definition *none = NULL;
        static const char keyring[] = PLAY VAR "chroot_suite: sid\n" VAR "keyring: own.gpg\n";
        assert_int_equal(definition_parse(keyring, strlen(keyring), "/d e/x.yaml", "x", &none, &problem), -EINVAL);
        assert_int_equal(problem.line, 4);
        assert_non_null(strstr(problem.text, "'/d e/own.gpg', must be without blanks"));
}

static void test_tasks(_unused_ void **state) {
        static const struct {
                const char *text;
                bool has_tasks;
        } table[] = {
                { "- hosts: all\n  vars: {tasks: [1]}\n", false },
                { "- hosts: all\n  tasks:\n", false },
                { "- hosts: all\n  tasks: []\n  roles: ~\n  handlers: [{ping: }]\n", false },
                { "- hosts: all\n  tasks:\n    - ping:\n    - shell: [x, {y: z}]\n  vars: {}\n", true },
                { "- hosts: all\n  pre_tasks: [{ping: }]\n", true },
                { "- hosts: all\n  post_tasks: [{ping: }]\n", true },
                { "- hosts: all\n  roles: [x]\n", true },
                { "- hosts: all\n- hosts: all\n  tasks: [{ping: }]\n", true },
                { "- vars: {}\n- import_playbook: x.yaml\n", true },
                { "- ansible.builtin.import_playbook: x.yaml\n", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_definition_ Definition *definition = parse("/d/x.yaml", "x", table[i].text);

                assert_row(definition->has_tasks == table[i].has_tasks, i, table[i].text);
        }
}

/* Every machine setting can be given, and only what was given is put over the configuration's. */
static void test_apply(_unused_ void **state) {
        _cleanup_free_ char *text = strdup(PLAY);
        Settings settings, before;

        for (size_t i = 0; settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);
                _cleanup_free_ char *rest = text;

                if (!setting_is_machine(info)) {
                        text = TAKE_PTR(rest);
                        continue;
                }
                assert_int_equal(
                        string_printf(&text, "%s" VAR "%s: %s\n", rest, setting_name(info), setting_default(info)), 0);
        }
        _cleanup_definition_ Definition *defaults = parse("/d/x.yaml", "x", text);
        _cleanup_definition_ Definition *some = parse(
                "/d/x.yaml", "x",
                PLAY VAR "boot: yes\n" VAR "memory_max: 1G\n" VAR "bind_ro: [/a, /b]\n" VAR "shell: null\n" VAR
                         "network: none\n" VAR "start_timeout: 2min\n" VAR "tasks_max: 7\n" VAR "private_users: no\n");

        assert_int_equal(settings_init(&settings), 0);
        assert_int_equal(setting_assign(&settings, setting_find("shell"), "zsh"), 0);
        assert_int_equal(setting_assign(&settings, setting_find("bind"), "/c"), 0);
        assert_int_equal(setting_assign(&settings, setting_find("root_dir"), "/srv"), 0);
        assert_int_equal(settings_copy(&settings, &before), 0);
        assert_int_equal(definition_apply(some, &settings), 0);
        assert_int_equal(definition_apply(some, &settings), 0);
        assert_string_equal(settings.root_dir, "/srv");
        assert_int_equal(settings.boot, BOOT_YES);
        assert_true(settings.memory_max.bytes == UINT64_C(1) << 30 && settings.memory_max.permyriad == 0);
        assert_strv(settings.bind, (const char *[]){ "/c", NULL });
        assert_strv(settings.bind_ro, (const char *[]){ "/a", "/b", NULL });
        assert_null(settings.shell);
        assert_int_equal(settings.network, NETWORK_NONE);
        assert_true(settings.start_timeout_usec == 120 * USEC_PER_SEC);
        assert_int_equal(settings.tasks_max, 7);
        assert_false(settings.private_users);

        /* The copy is one of its own. */
        assert_string_equal(before.shell, "zsh");
        assert_int_equal(before.boot, BOOT_AUTO);
        assert_string_equal(before.root_dir, "/srv");

        assert_int_equal(definition_apply(defaults, &settings), 0);
        for (size_t i = 0; settings_info(i); i++) {
                const SettingInfo *info = settings_info(i);
                _cleanup_free_ char *formatted = NULL;

                if (!setting_is_machine(info))
                        continue;
                assert_int_equal(setting_format(&settings, info, &formatted), 0);
                assert_row(streq(formatted, setting_default(info)), i, formatted);
        }
        settings_done(&settings);
        settings_done(&before);
}

static void test_variables(_unused_ void **state) {
        DefinitionVariable variable;
        bool seen_boot = false;
        size_t i;

        for (i = 0; definition_variable(i, &variable); i++) {
                assert_row(startswith(variable.name, DEFINITION_PREFIX), i, variable.name);
                assert_row(!isempty(setting_help(variable.info)), i, variable.name);
                if (streq(variable.name, "nspawn_runner_boot"))
                        seen_boot = variable.machine;
                assert_false(streq(variable.name, "nspawn_runner_root_dir"));
        }
        assert_true(seen_boot && i > 25);
}

/* What readers may copy from the man page. */
static void test_examples(_unused_ void **state) {
        _cleanup_free_ char *page = NULL;
        size_t n = 0;

        const char *path = getenv("IMAGE_PAGE");
        assert_non_null(path); /* `meson test` sets it */
        assert_int_equal(file_read_at(AT_FDCWD, path, 100000, &page, NULL), 0);
        for (char *block = page; (block = strstr(block, "\n```\n")); n++) {
                block += strlen("\n```\n");
                char *end = strstr(block, "\n```\n");
                assert_non_null(end);
                end[1] = 0;
                _cleanup_definition_ Definition *definition = parse("/d/x.yaml", "x", block);
                assert_true(definition->source.kind != SOURCE_NONE);
                block = end + strlen("\n```");
        }
        assert_true(n >= 4);
}

static void write_file(const char *directory, const char *name, const char *text) {
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/%s", directory, name), 0);
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
}

static void test_find(void **state) {
        _cleanup_free_ char *etc = NULL, *root = NULL, *dangling = NULL;
        static const struct {
                const char *name, *path, *shadowed; /* without the directory of the test */
        } table[] = {
                { "a", "/etc/a.yaml", NULL },
                { "b", "/etc/b.yml", NULL },
                { "c", "/root/c.yaml", NULL },
                { "both", "/etc/both.yaml", "/etc/both.yml" },
                { "twice", "/etc/twice.yml", "/root/twice.yaml" },
                { "dangling", "/etc/dangling.yaml", NULL },
                { "none", NULL, NULL },
                { "a.yaml", NULL, NULL },
        };

        assert_int_equal(string_printf(&etc, "%s/etc", (char *) *state), 0);
        assert_int_equal(string_printf(&root, "%s/root", (char *) *state), 0);
        Settings settings = { .definitions_dir = etc, .root_dir = root };
        _cleanup_strv_ char **names = NULL, **unusable = NULL, **nothing = NULL;

        /* before there is anything */
        char *path = NULL, *shadowed = NULL;
        assert_int_equal(definition_find(&settings, "a", &path, &shadowed), -ENOENT);
        assert_int_equal(definition_find(&settings, "../a", &path, &shadowed), -EINVAL);
        assert_int_equal(definition_list(&settings, &nothing, NULL), 0);
        assert_null(nothing);

        assert_int_equal(mkdir(etc, 0700), 0);
        assert_int_equal(mkdir(root, 0700), 0);
        static const char *const in_etc[] = { "a.yaml",    "b.yml",     "both.yaml",   "both.yml",
                                              "twice.yml", "notes.txt", ".hidden.yml", "two words.yaml",
                                              "-x.yml",    "yaml",      "c.yaml.old",  ".yaml" };
        for (size_t i = 0; i < ELEMENTSOF(in_etc); i++)
                write_file(etc, in_etc[i], "");
        write_file(root, "c.yaml", "");
        write_file(root, "twice.yaml", "");
        assert_int_equal(string_printf(&dangling, "%s/dangling.yaml", etc), 0);
        assert_int_equal(symlink("nowhere", dangling), 0);

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                for (unsigned with_shadowed = 0; with_shadowed < 2; with_shadowed++) {
                        _cleanup_free_ char *found = NULL, *other = NULL;

                        int r = definition_find(&settings, table[i].name, &found, with_shadowed ? &other : NULL);
                        assert_row(r == (table[i].path ? 0 : -ENOENT), i, table[i].name);
                        assert_row(streq_null(found ? found + strlen(*state) : NULL, table[i].path), i, found);
                        assert_row(streq_null(other ? other + strlen(*state) : NULL,
                                              with_shadowed ? table[i].shadowed : NULL),
                                   i, other);
                }
        }

        assert_int_equal(definition_list(&settings, &names, &unusable), 0);
        assert_strv(names, (const char *[]){ "a", "b", "both", "c", "dangling", "twice", NULL });
        assert_int_equal(strv_length(unusable), 2);
        assert_non_null(endswith(unusable[0], "/etc/-x.yml"));
        assert_non_null(endswith(unusable[1], "/etc/two words.yaml"));
}

static void test_load(void **state) {
        _cleanup_free_ char *path = NULL, *large = malloc(CONFIG_FILE_MAX_BYTES + 2);
        _cleanup_definition_ Definition *definition = NULL;
        Problem problem = { 0 };
        char text[PROBLEM_DESCRIPTION_MAX];

        assert_int_equal(string_printf(&path, "%s/x.yaml", (char *) *state), 0);
        assert_int_equal(definition_load(path, "x", &definition, &problem), -ENOENT);
        assert_non_null(startswith(problem_describe(&problem, -ENOENT, text), "Cannot read definition '"));
        assert_non_null(endswith(text, "/x.yaml': No such file or directory"));
        assert_int_equal(definition_load(*state, "x", &definition, &problem), -EISDIR);
        assert_non_null(endswith(problem_describe(&problem, -EISDIR, text), "': Is a directory"));

        memset(large, '#', CONFIG_FILE_MAX_BYTES + 1);
        large[CONFIG_FILE_MAX_BYTES + 1] = 0;
        write_file(*state, "x.yaml", large);
        assert_int_equal(definition_load(path, "x", &definition, &problem), -EFBIG);
        assert_non_null(endswith(problem_describe(&problem, -EFBIG, text), "/x.yaml: larger than 256 KiB"));

        write_file(*state, "x.yaml", PLAY VAR "bot: no\n");
        assert_int_equal(definition_load(path, "x", &definition, &problem), -EINVAL);
        assert_non_null(strstr(problem_describe(&problem, -EINVAL, text), "/x.yaml:3:5: unknown variable"));

        write_file(*state, "x.yaml", PLAY VAR "oci: busybox\n");
        assert_int_equal(definition_load(path, "x", &definition, &problem), 0);
        assert_string_equal(definition->source.oci, "docker://busybox");
}

/* "NAME" or "NAME<FROM", and the order that comes of it; of those that cannot be made a part of the reason. */
static void test_order(_unused_ void **state) {
        static const struct {
                const char *definitions[6], *order[6], *problems[6];
        } table[] = {
                { { NULL }, { NULL }, { NULL } },
                { { "a", "b" }, { "a", "b" }, { NULL } },
                { { "a<b", "b" }, { "b", "a" }, { NULL } },
                { { "a<b", "b<c", "c", "d" }, { "c", "d", "b", "a" }, { NULL } },
                { { "a<elsewhere", "b" }, { "a", "b" }, { NULL } },
                { { "a<b", "b<a", "c" },
                  { "c", "a", "b" },
                  { NULL, "made from itself: a -> b -> a", "made from itself: b -> a -> b" } },
                { { "x<a", "a<b", "b<c", "c<a", "y<x" },
                  { "x", "a", "b", "c", "y" },
                  { "made from images that are made from themselves: ", "a -> b -> c -> a", "b -> c -> a -> b",
                    "c -> a -> b -> c", "from themselves" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Definition *definitions[6] = { NULL };
                Problem problems[6];
                size_t n = 0;

                for (; table[i].definitions[n]; n++) {
                        _cleanup_free_ char *name = strdup(table[i].definitions[n]), *text = NULL;
                        char *from = strchr(name, '<');

                        if (from)
                                *from++ = 0;
                        assert_int_equal(string_printf(&text, from ? PLAY VAR "from: %s\n" : "- hosts: all\n", from),
                                         0);
                        definitions[n] = parse("/d/x.yaml", name, text);
                }
                assert_int_equal(definition_order(definitions, n, problems), 0);
                for (size_t k = 0; k < n; k++) {
                        const char *problem = table[i].problems[k];

                        assert_row(streq(definitions[k]->name, table[i].order[k]), i, definitions[k]->name);
                        assert_row(problem ? strstr(problems[k].text, problem) != NULL : !problems[k].text[0], i,
                                   problems[k].text);
                        assert_row(!problem || (problems[k].line == 3 && problems[k].column == 5), i, problem);
                        definition_free(definitions[k]);
                }
        }
}

/* What images' binds are checked against: a definition that nobody can use does not count, one that cannot be read now does. */
static void test_binds(void **state) {
        _cleanup_(settings_done) Settings configuration = { 0 }, own = { 0 };
        _cleanup_close_ int dir_fd = open_directory(state);
        Problem problem = { 0 };

        assert_int_equal(settings_init(&configuration), 0);
        assert_int_equal(string_replace(&configuration.definitions_dir, *state), 0);
        assert_int_equal(string_replace(&configuration.root_dir, *state), 0);
        make_file(dir_fd, "own.yaml", PLAY VAR "bind: [/srv/a]\n", 0644);
        assert_int_equal(definition_settings(&configuration, "own", &own), 0);

        make_file(dir_fd, "wrong.yaml", PLAY VAR "bind: 7\n", 0644);
        assert_int_equal(mkdirat(dir_fd, "directory.yaml", 0755), 0);
        assert_int_equal(mkfifoat(dir_fd, "pipe.yaml", 0644), 0);
        assert_int_equal(symlinkat("circle.yaml", dir_fd, "circle.yaml"), 0);
        assert_int_equal(symlinkat("nowhere", dir_fd, "dangling.yaml"), 0);
        make_file(dir_fd, "large.yaml", "", 0644);
        _cleanup_close_ int large_fd = openat(dir_fd, "large.yaml", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(large_fd, CONFIG_FILE_MAX_BYTES + 1), 0);
        assert_int_equal(definition_check_binds(&configuration, "own", &own, &problem), 0);

        /* A regular file that fails with EIO at its beginning. */
        assert_int_equal(symlinkat("/proc/self/mem", dir_fd, "other.yaml"), 0);
        assert_int_equal(definition_check_binds(&configuration, "own", &own, &problem), -EIO);

        assert_int_equal(unlinkat(dir_fd, "other.yaml", 0), 0);
        make_file(dir_fd, "other.yaml", PLAY VAR "bind: [/srv/a/b]\n", 0644);
        assert_int_equal(definition_check_binds(&configuration, "own", &own, &problem), -EINVAL);
        assert_non_null(strstr(problem.text, "jobs of image 'other'"));
}

/* Input made to exhaust a parser: it ends, and soon. */
static void test_hostile(_unused_ void **state) {
        static const char *const units[] = {
                "[",    "{", "- ", "? ",          "{a: ",        "&a ",        "!!str ",
                "a: *", "'", "\n", "- a: [*a]\n", "- &a a: 1\n", "- {vars: {", "- <<: *a\n"
        };
        const size_t size = CONFIG_FILE_MAX_BYTES;
        _cleanup_free_ char *text = malloc(size);

        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                Problem problem = { .text = "" };
                _cleanup_definition_ Definition *definition = NULL;

                for (size_t at = 0; at < size; at++)
                        text[at] = units[i][at % strlen(units[i])];
                int r = definition_parse(text, size, "/d/x.yaml", "x", &definition, &problem);
                assert_row(r == 0 || (r == -EINVAL && problem.text[0]), i, units[i]);
        }

        /* Ten levels of ten aliases: nobody follows them. */
        static const char bomb[] = PLAY "    a: &a [x,x,x,x,x,x,x,x,x,x]\n"
                                        "    b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                                        "    c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                                        "    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                                        "    e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
                                        "    f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
                                        "    g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"
                                        "    h: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]\n"
                                        "    i: &i [*h,*h,*h,*h,*h,*h,*h,*h,*h,*h]\n"
                                        "    <<: *i\n" VAR "boot: no\n";
        _cleanup_definition_ Definition *definition = parse("/d/x.yaml", "x", bomb);
        assert_int_equal(definition->settings.boot, BOOT_NO);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_suite),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_examples),
        cmocka_unit_test_setup_teardown(test_find, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_load, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_binds, setup_directory, teardown_directory),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_hostile),
};
UNIT_FILE(tests);
