/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "source/builder.h"

static char *join(char *const *v) {
        char *text = strdup("");

        for (; v && *v; v++) {
                char *longer;

                assert_int_equal(string_printf(&longer, "%s%s%s", text, *text ? "|" : "", *v), 0);
                free(text);
                text = longer;
        }
        return text;
}

static void test_os_release(void **state) {
        static const struct {
                const char *text, *id, *codename;
        } table[] = {
                { "ID=debian\nVERSION_CODENAME=bookworm\n", "debian", "bookworm" },
                { "PRETTY_NAME=\"X\"\nVERSION_CODENAME=\"noble\"\nID=\"ubuntu\"", "ubuntu", "noble" },
                { "ID=linuxmint\nVERSION_CODENAME=virginia\nUBUNTU_CODENAME='jammy'\n", "linuxmint", "jammy" },
                { "VERSION_ID=1\nBUILD_ID=x\n", NULL, NULL },
                { "ID=\nVERSION_CODENAME=\"\"\n", NULL, NULL },
                { "", NULL, NULL },
                { "ID=fedora\n", "fedora", NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(host_system_done) HostSystem host = { 0 };

                assert_int_equal(host_system_parse(table[i].text, &host), 0);
                assert_row(streq_null(host.id, table[i].id), i, host.id);
                assert_row(streq_null(host.codename, table[i].codename), i, host.codename);
        }
}

static void test_suites(void **state) {
        static const struct {
                const char *suite, *distribution;
                bool rolling;
        } table[] = {
                { "bookworm", "debian", false }, { "trixie", "debian", false }, { "sid", "debian", true },
                { "unstable", "debian", true },  { "stable", "debian", false }, { "noble", "ubuntu", false },
                { "jammy", "ubuntu", false },    { "future", "debian", false }, /* the host's own */
                { "nosuchsuite", NULL, false },  { "", NULL, false },           { "-x", NULL, false },
                { "../../etc", NULL, false },    { "a b", NULL, false },        { "UPPER", NULL, false },
        };
        HostSystem host = { .id = (char *) "debian", .codename = (char *) "future" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const Distribution *distribution = suite_distribution(table[i].suite, &host);

                assert_row(streq_null(distribution ? distribution->name : NULL, table[i].distribution), i,
                           table[i].suite);
                if (distribution)
                        assert_row(suite_is_rolling(distribution, table[i].suite) == table[i].rolling, i,
                                   table[i].suite);
        }
}

static const char one_line[] =
        "# comment\n"
        "deb http://mirror.example/debian bookworm main contrib # more\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "\n"
        "  deb [ arch=amd64 signed-by=/etc/apt/keyrings/own.gpg ] https://own.example/apt/ bookworm main\n"
        "deb cdrom:[Debian 12]/ bookworm main\n"
        "deb file:/srv/mirror bookworm main\n"
        "deb [broken http://x.example bookworm main\n"
        "deb http://flat.example ./\n"
        "debian http://x.example bookworm main\n"
        "deb http://mirror.example/debian/ bookworm-updates main\n"
        "deb http://security.example/debian-security bookworm-security main";

static void test_one_line(void **state) {
        _cleanup_apt_sources_ AptSources sources = { 0 };
        static const struct {
                const char *uri, *suite, *components, *keyring;
        } table[] = {
                { "http://mirror.example/debian", "bookworm", "main|contrib", NULL },
                { "https://own.example/apt", "bookworm", "main", "/etc/apt/keyrings/own.gpg" },
                { "http://mirror.example/debian", "bookworm-updates", "main", NULL },
                { "http://security.example/debian-security", "bookworm-security", "main", NULL },
        };

        (void) state;
        assert_int_equal(apt_sources_parse_list(one_line, &sources), 0);
        assert_int_equal(sources.n, ELEMENTSOF(table));
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *components = join(sources.sources[i].components);

                assert_row(streq(sources.sources[i].uri, table[i].uri), i, sources.sources[i].uri);
                assert_row(streq(sources.sources[i].suite, table[i].suite), i, sources.sources[i].suite);
                assert_row(streq(components, table[i].components), i, components);
                assert_row(streq_null(sources.sources[i].keyring, table[i].keyring), i, sources.sources[i].keyring);
        }
}

static const char deb822[] = "Types: deb deb-src\n"
                             "# http://snapshot.example/\n"
                             "URIs: http://one.example/debian/ http://two.example/debian\n"
                             "Suites: bookworm\n"
                             "  bookworm-updates\n"
                             "Components: main\n"
                             "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
                             "\n"
                             "Types: deb\n"
                             "URIs: http://off.example/debian\n"
                             "Suites: bookworm\n"
                             "Components: main\n"
                             "Enabled: no\n"
                             "\n\n"
                             "Types: deb-src\n"
                             "URIs: http://source.example/debian\n"
                             "Suites: bookworm\n"
                             "Components: main\n"
                             "\n"
                             "types: deb\n"
                             "uris: https://key.example/debian\n"
                             "suites: bookworm\n"
                             "components: main\n"
                             "signed-by:\n"
                             " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
                             " .\n"
                             " AAAA\n"
                             "garbage\n";

static void test_deb822(void **state) {
        _cleanup_apt_sources_ AptSources sources = { 0 };
        static const struct {
                const char *uri, *suite, *keyring;
        } table[] = {
                { "http://one.example/debian", "bookworm", "/usr/share/keyrings/debian-archive-keyring.gpg" },
                { "http://one.example/debian", "bookworm-updates", "/usr/share/keyrings/debian-archive-keyring.gpg" },
                { "http://two.example/debian", "bookworm", "/usr/share/keyrings/debian-archive-keyring.gpg" },
                { "http://two.example/debian", "bookworm-updates", "/usr/share/keyrings/debian-archive-keyring.gpg" },
                { "https://key.example/debian", "bookworm", NULL },
        };

        (void) state;
        assert_int_equal(apt_sources_parse_deb822(deb822, &sources), 0);
        assert_int_equal(sources.n, ELEMENTSOF(table));
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_row(streq(sources.sources[i].uri, table[i].uri), i, sources.sources[i].uri);
                assert_row(streq(sources.sources[i].suite, table[i].suite), i, sources.sources[i].suite);
                assert_row(streq_null(sources.sources[i].keyring, table[i].keyring), i, sources.sources[i].keyring);
        }
}

static void write_file(void **state, const char *name, const char *text) {
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/%s", (char *) *state, name), 0);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static void test_read(void **state) {
        _cleanup_apt_sources_ AptSources sources = { 0 }, none = { 0 };
        _cleanup_free_ char *directory = NULL, *line = NULL;

        assert_int_equal(apt_sources_read("/nonexistent", &none), 0);
        assert_int_equal(none.n, 0);

        assert_int_equal(string_printf(&directory, "%s/sources.list.d", (char *) *state), 0);
        assert_int_equal(mkdir_parents(directory, 0755), 0);
        write_file(state, "mirrors",
                   "# first\nhttps://first.example/debian/\tpriority:1\nhttps://second.example/debian\n");
        assert_int_equal(string_printf(&line, "deb mirror+file:%s/mirrors bookworm main\n", (char *) *state), 0);
        write_file(state, "sources.list", line);
        write_file(state, "sources.list.d/b.sources",
                   "Types: deb\nURIs: http://b.example\nSuites: b\nComponents: main\n");
        write_file(state, "sources.list.d/a.list", "deb http://a.example a main\n");
        write_file(state, "sources.list.d/c.list.disabled", "deb http://c.example c main\n");

        assert_int_equal(apt_sources_read(*state, &sources), 0);
        assert_int_equal(sources.n, 3);
        assert_string_equal(sources.sources[0].uri, "https://first.example/debian");
        assert_string_equal(sources.sources[1].suite, "a");
        assert_string_equal(sources.sources[2].suite, "b");
}

#define RUNNER_REPOSITORY \
        "deb [signed-by=/usr/share/keyrings/runner-keyring.gpg] https://pkgs.example/runner/debian/ bookworm main\n"

static void test_mirror_pick(void **state) {
        static const struct {
                const char *sources, *archive, *security, *keyring;
        } table[] = {
                { "deb http://m.example/debian bookworm main\n"
                  "deb http://m.example/debian bookworm-updates main\n"
                  "deb http://s.example/debian-security bookworm-security main\n",
                  "http://m.example/debian", "http://s.example/debian-security", NULL },
                /* somebody's packages for the same suite, named first */
                { RUNNER_REPOSITORY "deb https://tools.example bookworm main\n"
                                    "deb http://m.example/debian bookworm main\n",
                  "http://m.example/debian", NULL, NULL },
                { RUNNER_REPOSITORY, NULL, NULL, NULL },
                /* a mirror under a name of its own, with keys of its own */
                { "deb [signed-by=/etc/own.gpg] http://own.example/bookworm-mirror bookworm main\n"
                  "deb [signed-by=/etc/own.gpg] http://own.example/bookworm-mirror bookworm-updates main\n",
                  "http://own.example/bookworm-mirror", NULL, "/etc/own.gpg" },
                { "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] http://m.example/debian bookworm main\n",
                  "http://m.example/debian", NULL, NULL },
                { "deb http://m.example/debian bookworm contrib\n", NULL, NULL, NULL },
                { "deb http://m.example/debian trixie main\n", NULL, NULL, NULL },
                { "deb http://m.example/debian bookworm-backports main\n", NULL, NULL, NULL },
                { "deb http://s.example/debian-security bookworm-security main\n", NULL, NULL, NULL },
                { "", NULL, NULL, NULL },
        };
        const Distribution *debian = suite_distribution("bookworm", &(HostSystem){ 0 });

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_apt_sources_ AptSources sources = { 0 };
                _cleanup_mirror_ Mirror mirror = { 0 };

                assert_int_equal(apt_sources_parse_list(table[i].sources, &sources), 0);
                assert_int_equal(mirror_pick(&sources, debian, "bookworm", &mirror), 0);
                assert_row(streq_null(mirror.archive, table[i].archive), i, mirror.archive);
                assert_row(streq_null(mirror.security, table[i].security), i, mirror.security);
                assert_row(streq_null(mirror.keyring, table[i].keyring), i, mirror.keyring);
        }
}

#define PACKAGE_LIST "git,ca-certificates,systemd,systemd-sysv,dbus,python3"
#define PACKAGES "--include=" PACKAGE_LIST
#define DEBIAN_KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"
#define UBUNTU_KEYRING "/usr/share/keyrings/ubuntu-archive-keyring.gpg"

static void test_arguments(void **state) {
        static const struct {
                const Builder *builder;
                const char *suite;
                Mirror mirror;
                bool eatmydata;
                const char *arguments;
                const char *variant, *components, *packages;
        } table[] = {
                { &builder_mmdebstrap,
                  "trixie",
                  { (char *) "http://m.example/debian", (char *) "http://s.example/debian-security", NULL },
                  true,
                  "eatmydata|mmdebstrap|--variant=minbase|" PACKAGES "|--components=main|--keyring=" DEBIAN_KEYRING
                  "|--mode=root|--format=directory|--|trixie|/t"
                  "|deb [signed-by=" DEBIAN_KEYRING "] http://m.example/debian trixie main"
                  "|deb [signed-by=" DEBIAN_KEYRING "] http://m.example/debian trixie-updates main"
                  "|deb [signed-by=" DEBIAN_KEYRING "] http://s.example/debian-security trixie-security main" },
                { &builder_mmdebstrap,
                  "sid",
                  { (char *) "http://m.example/debian", (char *) "http://s.example/debian-security",
                    (char *) "/etc/own.gpg" },
                  false,
                  "mmdebstrap|--variant=minbase|" PACKAGES "|--components=main|--keyring=/etc/own.gpg"
                  "|--mode=root|--format=directory|--|sid|/t"
                  "|deb [signed-by=/etc/own.gpg] http://m.example/debian sid main" },
                { &builder_mmdebstrap,
                  "jammy",
                  { NULL, NULL, NULL },
                  false,
                  "mmdebstrap|--variant=minbase|" PACKAGES "|--components=main,universe|--keyring=" UBUNTU_KEYRING
                  "|--mode=root|--format=directory|--|jammy|/t" },
                { &builder_debootstrap,
                  "bookworm",
                  { (char *) "http://m.example/debian", NULL, NULL },
                  false,
                  "debootstrap|--variant=minbase|" PACKAGES "|--components=main|--keyring=" DEBIAN_KEYRING
                  "|bookworm|/t|http://m.example/debian" },
                { &builder_debootstrap,
                  "jammy",
                  { NULL, NULL, NULL },
                  true,
                  "eatmydata|debootstrap|--variant=minbase|" PACKAGES
                  "|--components=main,universe|--keyring=" UBUNTU_KEYRING "|jammy|/t" },
                { &builder_mmdebstrap,
                  "bookworm",
                  { (char *) "http://m.example/debian", NULL, NULL },
                  false,
                  "mmdebstrap|--variant=apt|--include=git,vim,zsh|--components=main,contrib|--keyring=" DEBIAN_KEYRING
                  "|--mode=root|--format=directory|--|bookworm|/t"
                  "|deb [signed-by=" DEBIAN_KEYRING "] http://m.example/debian bookworm main contrib"
                  "|deb [signed-by=" DEBIAN_KEYRING "] http://m.example/debian bookworm-updates main contrib",
                  "apt",
                  "main,contrib",
                  "git,vim,zsh" },
                { &builder_debootstrap,
                  "sid",
                  { NULL, NULL, NULL },
                  false,
                  "debootstrap|--variant=buildd|" PACKAGES "|--components=main|--keyring=" DEBIAN_KEYRING "|sid|/t",
                  "buildd" },
                /* what debootstrap has no name for is what it does without one */
                { &builder_debootstrap,
                  "sid",
                  { NULL, NULL, NULL },
                  false,
                  "debootstrap|" PACKAGES "|--components=main|--keyring=" DEBIAN_KEYRING "|sid|/t",
                  "important" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **argv = NULL;
                const Distribution *distribution = suite_distribution(table[i].suite, &(HostSystem){ 0 });
                BuildPlan plan = {
                        .builder = table[i].builder,
                        .distribution = distribution,
                        .suite = (char *) table[i].suite,
                        .mirror = table[i].mirror,
                        .variant = (char *) (table[i].variant ? table[i].variant : "minbase"),
                        .components = (char *) (table[i].components ? table[i].components : distribution->components),
                        .packages = (char *) (table[i].packages ? table[i].packages : PACKAGE_LIST),
                        .eatmydata = table[i].eatmydata,
                };

                assert_int_equal(plan.builder->arguments(&plan, "/t", &argv), 0);
                _cleanup_free_ char *text = join(argv);
                assert_string_equal(text, table[i].arguments);
        }
}

/* What debootstrap's completion is told: without a mirror of ours, how to find that of the security updates. */
static void test_completion(void **state) {
        static const struct {
                const char *suite;
                const char *mirror, *security;
                const char *expected; /* after the script and its name */
        } table[] = {
                { "bookworm", NULL, NULL, "/t|bookworm|main|" DEBIAN_KEYRING "|+-security" },
                { "sid", NULL, NULL, "/t|sid|main|" DEBIAN_KEYRING "|" },
                { "jammy", NULL, NULL, "/t|jammy|main universe|" UBUNTU_KEYRING "|+" },
                { "sid", "http://m.example/debian", NULL,
                  "/t|sid|main|" DEBIAN_KEYRING "||deb [signed-by=" DEBIAN_KEYRING
                  "] http://m.example/debian sid main" },
        };

        (void) state;
        assert_null(builder_mmdebstrap.completion);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **argv = NULL;
                const Distribution *distribution = suite_distribution(table[i].suite, &(HostSystem){ 0 });
                BuildPlan plan = {
                        .builder = &builder_debootstrap,
                        .distribution = distribution,
                        .suite = (char *) table[i].suite,
                        .mirror = { (char *) table[i].mirror, (char *) table[i].security, NULL },
                        .components = (char *) distribution->components,
                };

                assert_int_equal(plan.builder->completion(&plan, "/t", &argv), 0);
                assert_true(strv_length(argv) > 4);
                assert_string_equal(argv[0], "/bin/sh");
                _cleanup_free_ char *text = join(argv + 4);
                assert_row(streq(text, table[i].expected), i, text);
        }
}

static void test_mirror_replace(void **state) {
        static const struct {
                const char *suite;
                Mirror host; /* what is known before */
                const char *archive, *expected_archive, *security, *keyring;
        } table[] = {
                { "trixie", { NULL, NULL, NULL }, "http://n.example/debian/", "http://n.example/debian", NULL, NULL },
                /* the security updates stay, keys for other archives go */
                { "trixie",
                  { (char *) "http://m.example/debian", (char *) "http://s.example/security", (char *) "/etc/own.gpg" },
                  "http://n.example/debian",
                  "http://n.example/debian",
                  "http://s.example/security",
                  NULL },
                { "trixie",
                  { (char *) "http://m.example/debian", NULL, (char *) "/etc/own.gpg" },
                  "http://m.example/debian/",
                  "http://m.example/debian",
                  NULL,
                  "/etc/own.gpg" },
                /* each mirror has them */
                { "jammy",
                  { (char *) "http://m.example/ubuntu", (char *) "http://s.example/ubuntu", NULL },
                  "http://n.example/ubuntu",
                  "http://n.example/ubuntu",
                  "http://n.example/ubuntu",
                  NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const Distribution *distribution = suite_distribution(table[i].suite, &(HostSystem){ 0 });
                _cleanup_mirror_ Mirror mirror = { 0 };

                assert_int_equal(string_replace(&mirror.archive, table[i].host.archive), 0);
                assert_int_equal(string_replace(&mirror.security, table[i].host.security), 0);
                assert_int_equal(string_replace(&mirror.keyring, table[i].host.keyring), 0);
                assert_int_equal(mirror_replace(&mirror, distribution, table[i].archive), 0);
                assert_row(streq(mirror.archive, table[i].expected_archive), i, mirror.archive);
                assert_row(streq_null(mirror.security, table[i].security), i, mirror.security);
                assert_row(streq_null(mirror.keyring, table[i].keyring), i, mirror.keyring);
        }
}

static void write_program(void **state, const char *name) {
        _cleanup_free_ char *path = NULL;

        write_file(state, name, "#!/bin/sh\n");
        assert_int_equal(string_printf(&path, "%s/%s", (char *) *state, name), 0);
        assert_int_equal(chmod(path, 0755), 0);
}

/* Requests to a host that has debootstrap only, and then mmdebstrap too. */
static void test_plan(void **state) {
        _cleanup_free_ char *path = strdup(getenv("PATH")), *keyring = NULL, *missing = NULL;
        char *components[] = { (char *) "main", (char *) "contrib", NULL }, *packages[] = { (char *) "vim", NULL };
        static const struct {
                const char *suite, *variant;
                bool mmdebstrap;
                const char *problem; /* a part of it; NULL: none */
        } table[] = {
                { "trixie", NULL, false, NULL },
                { "trixie", "buildd", false, NULL },
                { "trixie", "apt", false, "needs mmdebstrap" },
                { "trixie", "apt", true, NULL },
                { "trixie", "nosuch", true, "no variant 'nosuch'" },
                { "nosuchsuite", NULL, true, "'nosuchsuite' is no suite" },
        };

        write_file(state, "own.gpg", "x");
        assert_int_equal(string_printf(&keyring, "%s/own.gpg", (char *) *state), 0);
        assert_int_equal(string_printf(&missing, "%s/none.gpg", (char *) *state), 0);
        assert_int_equal(setenv("PATH", *state, 1), 0);
        write_program(state, "debootstrap");
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_build_plan_ BuildPlan plan = { 0 };
                Problem problem = { 0 };
                BuildRequest request = { .suite = table[i].suite,
                                         .mirror = "http://n.example/debian/",
                                         .keyring = keyring,
                                         .variant = table[i].variant,
                                         .components = components,
                                         .packages = packages };

                if (table[i].mmdebstrap) {
                        write_program(state, "mmdebstrap");
                        write_program(state, "apt-get");
                }
                int r = build_plan_make(&request, &plan, &problem);
                if (table[i].problem) {
                        assert_row(r == -EINVAL && strstr(problem.text, table[i].problem), i, problem.text);
                        continue;
                }
                assert_row(r == 0, i, problem.text);
                assert_row(streq(plan.components, "main,contrib"), i, plan.components);
                assert_row(streq(plan.packages, PACKAGE_LIST ",vim"), i, plan.packages);
                assert_row(streq(plan.mirror.archive, "http://n.example/debian"), i, plan.mirror.archive);
                assert_row(streq(plan.mirror.keyring, keyring), i, plan.mirror.keyring);
                assert_row(streq(plan.variant, table[i].variant ? table[i].variant : "minbase"), i, plan.variant);
        }

        /* Without the usual packages: others, or none. */
        for (size_t i = 0; i < 2; i++) {
                _cleanup_build_plan_ BuildPlan plan = { 0 };
                Problem problem = { 0 };
                BuildRequest request = { .suite = "trixie",
                                         .mirror = "http://n.example/debian/",
                                         .keyring = keyring,
                                         .packages = i == 0 ? packages : NULL,
                                         .only_packages = true };
                _cleanup_strv_ char **arguments = NULL;

                assert_int_equal(build_plan_make(&request, &plan, &problem), 0);
                assert_true(streq_null(plan.packages, i == 0 ? "vim" : NULL));
                assert_int_equal(plan.builder->arguments(&plan, "/t", &arguments), 0);
                assert_int_equal(streq(arguments[2], "--include=vim"), i == 0);
        }

        _cleanup_build_plan_ BuildPlan plan = { 0 };
        Problem problem = { 0 };
        assert_int_equal(build_plan_make(&(BuildRequest){ .suite = "trixie", .keyring = missing }, &plan, &problem),
                         -EINVAL);
        assert_non_null(strstr(problem.text, "none.gpg cannot be read"));
        assert_int_equal(setenv("PATH", path, 1), 0);
}

static bool environment_has(char *const *environment, const char *variable) {
        for (; *environment; environment++)
                if (streq(*environment, variable))
                        return true;
        return false;
}

static void test_environment(void **state) {
        _cleanup_strv_ char **environment = NULL;

        (void) state;
        assert_int_equal(setenv("http_proxy", "http://proxy.example:3128", 1), 0);
        assert_int_equal(setenv("SECRET_TOKEN", "x", 1), 0);
        assert_int_equal(builder_environment(&environment), 0);
        assert_true(environment_has(environment, "http_proxy=http://proxy.example:3128"));
        assert_true(environment_has(environment, "LC_ALL=C.UTF-8"));
        assert_false(environment_has(environment, "SECRET_TOKEN=x"));
        assert_int_equal(unsetenv("http_proxy"), 0);
}

/* A proxy that only the host's apt knows is used too. */
static void test_apt_proxy(void **state) {
        _cleanup_strv_ char **environment = NULL, **direct = NULL;
        _cleanup_free_ char *path = NULL;

        assert_int_equal(string_printf(&path, "%s/apt.conf", (char *) *state), 0);
        assert_int_equal(setenv("APT_CONFIG", path, 1), 0);
        write_file(state, "apt.conf",
                   "Acquire::http::Proxy::mirror.example \"http://other.example:1\";\n"
                   "Acquire::http::Proxy \"http://apt.example:3142\";\nAcquire::https::Proxy \"DIRECT\";\n"
                   "Acquire::https::Proxy::mirror.example \"http://other.example:2\";\n");
        assert_int_equal(builder_environment(&environment), 0);
        assert_true(environment_has(environment, "http_proxy=http://apt.example:3142"));
        assert_null(strv_value(environment, "https_proxy"));

        /* but not before the environment's own */
        assert_int_equal(setenv("http_proxy", "http://proxy.example:3128", 1), 0);
        assert_int_equal(builder_environment(&direct), 0);
        assert_true(environment_has(direct, "http_proxy=http://proxy.example:3128"));
        assert_false(environment_has(direct, "http_proxy=http://apt.example:3142"));
        assert_int_equal(unsetenv("http_proxy"), 0);
        assert_int_equal(unsetenv("APT_CONFIG"), 0);
}

static void test_step(void **state) {
        (void) state;
        assert_string_equal(builder_step("I: extracting archives..."), "extracting archives...");
        assert_null(builder_step("Get:1 http://m.example bookworm InRelease"));
        assert_null(builder_step(""));
        assert_null(builder_step("E: failed"));
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_release),
        cmocka_unit_test(test_suites),
        cmocka_unit_test(test_one_line),
        cmocka_unit_test(test_deb822),
        cmocka_unit_test_setup_teardown(test_read, setup_directory, teardown_directory),
        cmocka_unit_test(test_mirror_pick),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_completion),
        cmocka_unit_test(test_mirror_replace),
        cmocka_unit_test_setup_teardown(test_plan, setup_directory, teardown_directory),
        cmocka_unit_test(test_environment),
        cmocka_unit_test_setup_teardown(test_apt_proxy, setup_directory, teardown_directory),
        cmocka_unit_test(test_step),
};
UNIT_FILE(tests);
