# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the test suite and the command line of tools/run-tests. How parts are scheduled is in schedule.py."""

import argparse
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from changes import changed, select
from schedule import Failed, Part, Session, Work
from valgrind_report import findings

SOURCE = Path(__file__).resolve().parents[2]
TOOLS = SOURCE / "tools"
sys.path.insert(0, str(SOURCE / "tests/integration"))

from pace import measure  # noqa: E402

MINUTE = 60
# How many inputs each fuzzer makes: the same ones everywhere, and in 1 s on a usual machine. Who looks for faults calls a
# fuzzer with another seed, and for hours.
FUZZ_RUNS = {"config": 5_000, "definition": 10_000, "machine-json": 250, "oci-config": 40_000, "pipeline": 4_000,
             "relay": 500, "reports": 15_000, "response": 125_000, "toml": 37_000, "unpack": 1_500,
             "wire": 37_000}
# How many processes have a part's integration tests among them: they wait often. All of them take the longest of all parts.
ALL_SHARES, SOME_SHARES = 3, 2

# The tests that go through most of the code in the least time, for builds that run many times slower.
# What goes on in test_identity.py, unit tests have, which those builds run, too.
SMALL = ("test_job.py", "test_exit.py", "test_cancel.py", "test_config.py", "test_badinput.py")
SMALLEST = (
    "test_job.py::test_whole_job[overlay-userns-boot]",
    "test_job.py::test_whole_job[btrfs-hostids-init]",
    "test_job.py::test_gitlab_config",
    "test_exit.py::test_stage_order_after_failure",
    "test_exit.py::test_unreadable_script",
    "test_exit.py::test_run_without_prepare",
    "test_exit.py::test_container_that_dies_in_a_step[init]",
    "test_cancel.py::test_cancelled_job[init]",
)


def c_sources() -> list[Path]:
    """All C files of ours."""
    return sorted(path for top in ("src", "tests", "bench") for path in (SOURCE / top).rglob("*.[ch]"))


def shell_sources() -> list[Path]:
    """All shell scripts of ours, by their first line."""
    found = []
    for top in (".ci", "tools", "tests", "bench", "debian", "examples"):
        for path in sorted((SOURCE / top).rglob("*")):
            if path.is_file():
                with open(path, "rb") as file:
                    first = file.readline()
                if first.startswith(b"#!") and b"sh" in first.rsplit(b"/", 1)[-1]:
                    found.append(path)
    return found


# Makes the bytecode of integration tests, which each pytest would make for itself: with what pytest adds to their assertions,
# that takes it 4 s.
COLLECT = ("/usr/bin/python3", "-m", "pytest", "-q", "--collect-only")


# Things that parts need; made once, when the first selected part needs them.

def make_source(work: Work) -> None:
    """A copy of the source, which is what is built: wherever the source is, compilers get to it by the same relative path,
    by which ccache recognizes what they were asked before."""
    path = work.session.directory / "source"
    work.call(TOOLS / "lib" / "copy-source", path)
    work.session.products["source"] = path


def integration_tests(work: Work) -> Path:
    """Where they are: in that copy, which may be written to."""
    return work.session.products["source"] / "tests" / "integration"


def make_tests(work: Work) -> None:
    """Their bytecode."""
    work.call(*COLLECT, integration_tests(work), env={"PYTHONDONTWRITEBYTECODE": ""})


def compiled(work: Work, suite: str) -> Path:
    """The directory in which ccache keeps what the compilers of @suite made in earlier sessions, where this machine sees it.
    Each suite has one of its own, as their versions of ccache differ."""
    directory = work.session.cache / "ccache" / (suite or "other")
    directory.mkdir(parents=True, exist_ok=True)
    # Debugging information names the build directory of whichever session compiled it: so it may differ. Others may be
    # reading the file that is there.
    new = work.session.directory / f"{work.part.name}.conf"
    new.write_text("max_size = 500M\ndepend_mode = true\nhash_dir = false\n", encoding="utf-8")
    new.replace(directory / "ccache.conf")
    return directory


def configure(work: Work, compiler: str, *options: str) -> Path:
    """Builds everything with that compiler, where no warning is let pass, in a directory of its own."""
    build = work.session.directory / work.part.name
    # Where ccache is not installed, meson leaves it out. A compilation with a warning fails, and that is not kept.
    env = {"CC": f"ccache {compiler}", "CCACHE_DIR": str(compiled(work, own_suite())),
           "CCACHE_BASEDIR": str(work.session.directory)}
    work.call("meson", "setup", "-Dwerror=true", *options, build, work.session.products["source"], env=env)
    work.call("ninja", "--quiet", "-C", build, env=env)
    return build


def make_gcc(work: Work) -> None:
    """The build that is tested."""
    work.session.products["gcc"] = configure(work, "gcc")


def make_clang(work: Work) -> None:
    """The same with the other compiler, with sanitizers, and with what the fuzzers need."""
    work.session.products["clang"] = configure(
        work, "clang", "-Db_sanitize=address,undefined", "-Db_lundef=false",
        "-Dc_args=-fno-sanitize-recover=all -gline-tables-only", "-Dfuzz=true", "-Doptimization=1", "-Ddebug=false")


def make_tree(flavour: str, suite: str):
    """A function that provides the root file system @flavour-@suite."""
    def make(work: Work) -> None:
        path = work.output(TOOLS / "lib" / "cached-tree", work.session.cache, flavour, suite)
        work.session.use(f"{flavour}-{suite}", Path(path.strip().splitlines()[-1]))
    return make


# Parts

def check_format(work: Work) -> None:
    """clang-format as the judge."""
    files = c_sources()
    work.check("clang-format", len(files) > 0 and work.try_call("clang-format", "--dry-run", "--Werror", *files))


def check_shell(work: Work) -> None:
    """shellcheck on every script."""
    for path in shell_sources():
        work.check(path.relative_to(SOURCE), work.try_call("shellcheck", "-x", "-P", "SCRIPTDIR", path))


def check_build(work: Work) -> None:
    """Both compilers got here."""
    for compiler in ("gcc", "clang"):
        build = work.session.products[compiler]
        work.check(compiler, work.try_call(build / "nspawn-runner", "--version"))
        named = naming(json.loads((build / "compile_commands.json").read_text(encoding="utf-8")), work.session.directory)
        work.log.write("".join(f"{command}\n" for command in named).encode())
        work.check(f"{compiler}: what is compiled has the same name in each session", not named)


def naming(commands: list[dict[str, str]], directory: Path) -> list[str]:
    """Those of the commands that name @directory where ccache does not make a relative path of that: no other session would
    find what came of them. A path of its own, after -include for example, is one that it knows."""
    return [command["command"] for command in commands
            if any(str(directory) in word and not word.startswith(f"{directory}/")
                   for word in shlex.split(command["command"]))]


def unit(work: Work, build: Path, *options: str, log: str = "testlog", env: dict[str, str] | None = None) -> None:
    """The unit tests of a build. @log is how meson calls its log."""
    # Some of them check limits on the length of paths: a temporary directory of the usual length.
    ended_well = work.try_call("meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs",
                               "--timeout-multiplier=10", *options, env={"TMPDIR": "/tmp", **(env or {})})
    work.junit(build / "meson-logs" / f"{log}.junit.xml", ended_well=ended_well)


def check_unit(work: Work) -> None:
    """On this machine. What calls the program as users do, `sanitize` has, too, for the same release: it is not run twice."""
    unit(work, work.session.products["gcc"], *(["--no-suite=program"] if "sanitize" in work.session.selected else []))


def pytest_arguments(driver: Path | str, image: Path | str, *options: str) -> list[str]:
    """How the integration tests are called, wherever."""
    return ["/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-v", "--color=no", "-rA", "--tb=short",
            f"--driver={driver}", f"--image-dir={image}", *options]


def shared(tools: Path, shares: int, results: Path | str, arguments: list[str]) -> list[str]:
    """The same by several processes side by side."""
    return [str(tools / "lib" / "share-tests"), str(shares), str(results), *arguments]


def integration(work: Work, driver: Path, shares: int, files: tuple[str, ...] = (), options: tuple[str, ...] = (),
                env: dict[str, str] | None = None) -> None:
    """The integration tests on this machine, with whatever supervisor it has."""
    results = work.directory() / "integration.xml"
    image = work.session.products[f"image-{work.session.suite}"]
    directory = integration_tests(work)
    ended_well = work.try_call(*shared(TOOLS, shares, results, pytest_arguments(driver, image, *options)),
                               *([directory / name for name in files] or [directory]), env=env)
    work.junit(results, ended_well=ended_well)


def check_integration(work: Work) -> None:
    """All of them."""
    integration(work, work.session.products["gcc"] / "nspawn-runner", ALL_SHARES, chosen(work),
                (f"--recipes-dir={work.session.products['recipes-bookworm']}",
                 f"--services-dir={work.session.products['services-bookworm']}",
                 f"--projects-dir={work.session.products['projects-bookworm']}"))


def chosen(work: Work) -> tuple[str, ...]:
    """The files with integration tests that were asked for; none if all were."""
    return tuple(sorted(name for name in work.session.files or () if name != "test_limits.py"))


def check_sanitize(work: Work) -> None:
    """Host program and agent under the address and undefined behaviour sanitizers."""
    build = work.session.products["clang"]
    reports = work.directory() / "reports"
    reports.mkdir()
    env = {"ASAN_OPTIONS": f"detect_leaks=1:strict_string_checks=1:log_path={reports}/asan",
           "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={reports}/ubsan"}
    unit(work, build, "--no-suite=tools", env=env)
    integration(work, with_plain_agent(work, build / "nspawn-runner"), SOME_SHARES, SMALL,
                ("--pairwise", "-k", "not test_codes and not test_absent_variables"), env)
    work.no_reports(reports, lambda text: True)


def with_plain_agent(work: Work, driver: Path) -> Path:
    """The driver beside an agent that runs in any image: one with sanitizers would need their libraries there."""
    directory = work.directory() / "bin"
    directory.mkdir()
    shutil.copy2(driver, directory)
    for name in ("nspawn-runner-agent", "nspawn-runner-userns.so"):
        shutil.copy2(work.session.products["gcc"] / name, directory)
    return directory / "nspawn-runner"


def check_fuzz(work: Work) -> None:
    """Each fuzzer for a while, from its corpus. One without a number of runs fails."""
    for program in sorted(path for path in (work.session.products["clang"] / "tests" / "fuzz").iterdir()
                          if path.name.startswith("fuzz-") and path.is_file() and os.access(path, os.X_OK)):
        found = work.directory() / program.name
        found.mkdir()
        name = program.name.removeprefix("fuzz-")
        corpus = SOURCE / "tests" / "fuzz" / "corpus" / name
        crashes = work.session.logs / f"{program.name}."
        work.check(program.name, work.try_call(
            program, f"-runs={FUZZ_RUNS[name]}", "-seed=1", "-timeout=10", "-rss_limit_mb=2048",
            "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={crashes}", found, corpus))


NESTED = """
set -eu
status=0
meson test -C "$BUILD" --no-rebuild --print-errorlogs --timeout-multiplier=10 --no-suite=any-host $UNIT || status=1
cp "$BUILD/meson-logs/testlog.junit.xml" /out/unit.xml
"$@" || status=1
exit $status
"""

# `supervise` is started by what /proc/self/exe leads to, which is the program without the wrapper: just as well, as
# valgrind does not know the system calls for mounts and ID maps.
VALGRIND = """
set -eu
status=0
meson test -C "$BUILD" --no-rebuild --print-errorlogs --setup=valgrind || status=1
cp "$BUILD/meson-logs/testlog-valgrind.junit.xml" /out/unit.xml
meson test -C "$BUILD" --no-rebuild --list --suite=no-valgrind --suite=python | sed 's/^/NOT RUN: /'
echo 'NOT RUN: nspawn-runner supervise (mount_setattr and the like)'
printf '#!/bin/sh\nexec %s/tools/lib/valgrind --log-file=/out/reports/%%p %s/nspawn-runner "$@"\n' "$PWD" "$BUILD" \
        >/var/tmp/nspawn-runner
chmod +x /var/tmp/nspawn-runner
"$@" || status=1
exit $status
"""


def places(work: Work, suite: str) -> tuple[Path, Path]:
    """Where a nested host of @suite has the source and what was built of it. What was built on this machine stays where it
    was, as it has that path in it."""
    products = work.session.products
    return (products["source"], products["gcc"]) if suite == own_suite() else (Path("/src"), Path("/build"))


def nested_host(work: Work, suite: str) -> list[Path | str]:
    """How a command is run in a nested host of @suite, in the directory with the source."""
    source, build = places(work, suite)
    return [TOOLS / "nested-host", suite, "--cache", work.session.cache,
            "--bind-ro", f"{work.session.products['source']}:{source}",
            "--bind", f"{work.session.directory / f'build-{suite}'}:{build}", "--chdir", source, "--setenv", f"BUILD={build}"]


def make_nested(suite: str):
    """A function that builds in a nested host of @suite, from what its packages give, and makes the tests' bytecode for its
    python. If that is what this machine has, it would be built twice from the same: then it is a copy."""
    def make(work: Work) -> None:
        build = work.session.directory / f"build-{suite}"
        if suite == own_suite():
            work.call("cp", "-a", "--reflink=auto", work.session.products["gcc"], build)
            return
        build.mkdir()
        source, _ = places(work, suite)
        work.call(*nested_host(work, suite), *with_compiled(work, suite), "--setenv", "CC=ccache gcc",
                  "--bind", f"{work.session.products['source'] / 'tests'}:{source / 'tests'}", "--", "bash", "-c",
                  'meson setup -Dwerror=true "$BUILD" . && ninja --quiet -C "$BUILD" && exec "$@"',
                  "build", *COLLECT, "tests/integration")
    return make


def with_compiled(work: Work, suite: str) -> list[str]:
    """Options of nested-host that give compilers there what is kept of theirs."""
    return ["--bind", f"{compiled(work, suite)}:/var/cache/ccache", "--setenv", "CCACHE_DIR=/var/cache/ccache"]


def for_nested(suite: str) -> tuple[str, ...]:
    """What make_nested() needs."""
    return (f"host-{suite}", "source", *(["gcc"] if suite == own_suite() else []))


def nested(work: Work, suite: str, script: str, driver: Path | str, out: Path, files: tuple[str, ...] = (),
           options: tuple[str, ...] = (), unit_options: str = "", host_options: tuple[Path | str, ...] = ()) -> None:
    """Runs unit and integration tests in a nested host of @suite, as the script says."""
    source, _ = places(work, suite)
    directory = source / "tests/integration"
    ended_well = work.try_call(
        *nested_host(work, suite), *host_options, "--bind", f"{out}:/out",
        "--bind-ro", f"{work.session.products[f'image-{suite}']}:/image",
        "--setenv", "TMPDIR=/var/tmp", "--setenv", f"UNIT={unit_options}",
        "--journal", work.session.logs / f"{work.part.name}.journal", "--", "bash", "-c", script, "nested",
        *shared(source / "tools", SOME_SHARES, "/out/integration.xml", pytest_arguments(driver, "/image", *options)),
        *([directory / name for name in files] or [directory]))
    work.junit(out / "unit.xml", out / "integration.xml", ended_well=ended_well)


def check_nested(suite: str):
    """A function that runs in a nested host of @suite what depends on the host: if that has the same programs as this
    machine, what depends on who the supervisor is."""
    def check(work: Work) -> None:
        own = suite == own_suite()
        services = work.session.products["services-bookworm"]
        nested(work, suite, NESTED, places(work, suite)[1] / "nspawn-runner", work.directory(), chosen(work),
               ("--supervisor-matters" if own else "--host-matters", "--pairwise", "--services-dir=/services"),
               "--no-suite=python" if own else "", ("--link", f"{services}:/services"))
    return check


def check_valgrind(work: Work) -> None:
    """Unit tests and whole jobs under valgrind; in Debian 13, as that of Debian 12 does not know openat2()."""
    out = work.directory()
    reports = out / "reports"
    reports.mkdir()
    nested(work, "trixie", VALGRIND, "/var/tmp/nspawn-runner", out, SMALLEST)
    work.check("driver ran under valgrind", any(reports.iterdir()))
    work.no_reports(reports, lambda text: bool(findings(text)))


def check_vm(work: Work) -> None:
    """Limits on cgroup v2, in a virtual machine with a kernel of its own."""
    out, programs = work.directory() / "out", work.directory() / "bin"
    programs.mkdir()
    for name in ("nspawn-runner", "nspawn-runner-agent", "nspawn-runner-userns.so"):
        shutil.copy2(work.session.products["gcc"] / name, programs)
    image = work.session.products[f"image-{work.session.suite}"]
    ended_well = work.try_call(
        TOOLS / "vm", work.session.suite, "--cache", work.session.cache, "--memory", "1024",
        "--copy", f"{work.session.products['source']}/tests:/root/tests", "--copy", f"{programs}:/root/bin",
        "--copy", f"{image}:/root/image", "--fetch", f"/root/out:{out}",
        "--setenv", "TMPDIR=/var/tmp", "--journal", work.session.logs / "vm.journal", "--",
        *pytest_arguments("/root/bin/nspawn-runner", "/root/image", "--bound-image", "--junit-xml=/root/out/limits.xml"),
        "/root/tests/integration/test_limits.py")
    work.junit(out / "limits.xml", ended_well=ended_well)


def check_quickstart(work: Work) -> None:
    """The README's first command, on a bare Debian that has nothing but systemd."""
    work.tap(TOOLS / "nested-host", "trixie", "--bare", "--cache", work.session.cache, "--bind-ro", f"{SOURCE}:/src",
             "--journal", work.session.logs / "quickstart.journal",
             "--", "/src/tools/lib/check-quickstart", "/src", "/var/tmp/quickstart", "alone")


def check_quickstart_here(work: Work) -> None:
    """The same on this machine, where program and image are there."""
    work.tap(TOOLS / "lib" / "check-quickstart", SOURCE, work.directory(), "here", work.session.products["gcc"],
             work.session.products[f"image-{work.session.suite}"])


def check_package(suite: str, *options: str):
    """A function that makes the Debian package in a nested host of @suite, and installs, upgrades and removes it."""
    def check(work: Work) -> None:
        work.tap(TOOLS / "nested-host", suite, "--package", "--cache", work.session.cache, "--bind-ro", f"{SOURCE}:/src",
                 "--bind-ro", f"{work.session.products[f'image-{suite}']}:/image", *with_compiled(work, suite),
                 "--journal", work.session.logs / f"{work.part.name}.journal",
                 "--", "/src/tools/lib/check-package", "/src", "/var/tmp/package", "/image", *options)
    return check


def all_parts(suite: str) -> list[Part]:
    """In the order in which they are started, as far as what they need is there: what says something at once, what takes long,
    what is narrow; what is left at the end is wide and short, so that no processor is idle there."""
    return [
        Part("source", make_source, product=True),
        Part("gcc", make_gcc, needs=("source",), product=True),
        Part("tests", make_tests, needs=("source",), product=True),
        Part("host-trixie", make_tree("host", "trixie"), product=True),
        Part("host-bookworm", make_tree("host", "bookworm"), product=True),
        Part("image-trixie", make_tree("image", "trixie"), product=True),
        Part("image-bookworm", make_tree("image", "bookworm"), product=True),
        Part("recipes-bookworm", make_tree("recipes", "bookworm"), product=True),
        Part("services-bookworm", make_tree("services", "bookworm"), product=True),
        Part("projects-bookworm", make_tree("projects", "bookworm"), product=True),
        Part("format", check_format, "clang-format leaves every C file as it is"),
        Part("shellcheck", check_shell, "shellcheck has nothing to say about any script"),
        Part("unit", check_unit, "unit tests", needs=("gcc",), width=2),
        Part("integration", check_integration, "all integration tests on this machine",
             needs=("gcc", "tests", f"image-{suite}", "recipes-bookworm", "services-bookworm", "projects-bookworm"),
             lock="machine", width=ALL_SHARES),
        # Beside those, what needs one processor or less.
        Part(f"guest-{suite}", make_tree("guest", suite), product=True),
        Part("vm", check_vm, "limits on memory, tasks and CPU, in a virtual machine with cgroup v2",
             needs=("gcc", "tests", f"guest-{suite}", f"image-{suite}")),
        Part("bare-trixie", make_tree("bare", "trixie"), product=True),
        Part("quickstart", check_quickstart, "tools/quickstart in a bare nested Debian 13", needs=("bare-trixie",)),
        Part("package-bookworm", make_tree("package", "bookworm"), product=True),
        # Twice, to compare, in one of them: compiling takes most of the time.
        Part("package-12", check_package("bookworm", "--twice"),
             "the Debian package is made twice, installed, upgraded and removed in a nested Debian 12",
             needs=("package-bookworm", "image-bookworm")),
        Part("package-trixie", make_tree("package", "trixie"), product=True),
        Part("package-13", check_package("trixie"), "the same in a nested Debian 13, made once",
             needs=("package-trixie", "image-trixie")),
        Part("clang", make_clang, needs=("source",), product=True),
        Part("build", check_build, "gcc and clang compile everything without a warning", needs=("gcc", "clang")),
        Part("fuzz", check_fuzz, "each fuzzer with some thousand inputs", needs=("clang",)),
        Part("build-trixie", make_nested("trixie"), needs=for_nested("trixie"), product=True),
        Part("nested-13", check_nested("trixie"), "unit and integration tests that depend on the host, in a nested Debian 13",
             needs=("build-trixie", "image-trixie", "services-bookworm"), width=SOME_SHARES),
        Part("sanitize", check_sanitize, "unit tests and some of the integration tests under ASan and UBSan",
             needs=("gcc", "clang", "tests", f"image-{suite}"), width=SOME_SHARES),
        Part("build-bookworm", make_nested("bookworm"), needs=for_nested("bookworm"), product=True),
        Part("nested-12", check_nested("bookworm"), "unit and integration tests that depend on the host, in a nested Debian 12",
             needs=("build-bookworm", "tests", "image-bookworm", "services-bookworm"), width=SOME_SHARES),
        Part("valgrind", check_valgrind, "unit tests and whole jobs under valgrind, in a nested Debian 13",
             needs=("build-trixie", "image-trixie"), width=SOME_SHARES),
        Part("quickstart-here", check_quickstart_here, "tools/quickstart on this machine, as if for the second time",
             needs=("gcc", f"image-{suite}"), lock="machine"),
    ]


def own_suite() -> str:
    """The release of this machine's system."""
    with open("/etc/os-release", encoding="utf-8") as file:
        fields = dict(line.strip().split("=", 1) for line in file if "=" in line)
    return fields.get("VERSION_CODENAME", "")


def host_suite() -> str:
    """The Debian release that this machine has, or for another system Debian 12."""
    return "trixie" if own_suite() == "trixie" else "bookworm"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/run-tests", allow_abbrev=False,
        description="Runs all tests, or the named parts. Must be root: makes root file systems, containers and a "
                    "virtual machine. The first time it downloads what they are made of.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="see --list (default: all)")
    parser.add_argument("--changed", metavar="COMMIT", nargs="?", const="HEAD",
                        help="only the parts and integration tests that something can break which differs from COMMIT "
                             "(default: HEAD, so what is not committed)")
    parser.add_argument("--list", action="store_true", help="list the parts and do nothing")
    parser.add_argument("--cache", metavar="DIR", type=Path, required=True,
                        help="where root file systems, disks and logs are kept (default: "
                             "/var/cache/nspawn-runner-tests)")
    parser.add_argument("--jobs", metavar="N", type=int, default=5,
                        help="how many tests may run at the same time, of however many parts (default: %(default)s)")
    parser.add_argument("--silence", metavar="MINUTES", type=int, default=60,
                        help="a part that prints nothing for so long hangs (default: %(default)s)")
    arguments = parser.parse_args()

    suite = host_suite()
    parts = all_parts(suite)
    names = [part.name for part in parts if not part.product]
    if arguments.list:
        for part in parts:
            if not part.product:
                print(f"{part.name:15} {part.summary}")
        return 0
    files = None
    if arguments.changed:
        if arguments.parts:
            parser.error("either --changed or names of parts")
        selection = select(changed(SOURCE, arguments.changed))
        files = selection.files
        arguments.parts = [name for name in names if selection.parts is None or name in selection.parts]
        if not arguments.parts:
            print("nothing has changed")
            return 0
        if files is not None:
            print("integration tests:", " ".join(sorted(files)) or "none")
    unknown = [name for name in arguments.parts if name not in names]
    if unknown:
        parser.error(f"no part '{unknown[0]}'; there are: {', '.join(names)}")
    with Session(arguments.cache.resolve(), suite, arguments.silence * MINUTE) as session:
        session.files = files
        session.say(f"what takes 1 s on the machine that limits of tests are meant for takes {measure():.1f} s here")
        return session.run(parts, arguments.parts or names, arguments.jobs)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"run-tests: {error}")
