# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures and command-line options: python3 -m pytest tests/integration [--driver FILE] [--image-dir DIR], as root."""

import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

pytest.register_assert_rewrite("lab")  # before it is imported: its assertions then say what they saw

import host  # noqa: E402
import limits  # noqa: E402
import ociimage  # noqa: E402
import pace  # noqa: E402
from lab import COMBINATIONS, PAIRWISE, Lab, Site, combination_name  # noqa: E402

# Begun first, those that take longest before others, so that no one of several processes (--share) is left with them at the
# end.
LONGEST = ("test_maintenance_crash.py", "test_maintenance_sources.py", "test_documents.py", "test_playbooks.py",
           "test_registry_images.py", "test_maintenance_hostile.py", "test_generations.py", "test_crash.py",
           "test_maintenance_together.py", "test_exec_run.py", "test_network.py")
CPU_SECONDS = pytest.StashKey[float]()  # before the test
# Tests that need the tree of --projects-dir.
OF_PROJECTS = {"test_shape": "test_exec_run.py"}
# Tests that install packages from --services-dir.
OF_PACKAGES = {"test_large_files": "test_helper.py", "test_installed_in_a_job": "test_service_programs.py"}


def pytest_configure() -> None:
    """A terminated run cleans up like an interrupted one: containers and loop mounts outlive us otherwise."""
    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds our options."""
    parser.addoption("--driver", default="build/nspawn-runner", help="the nspawn-runner to test")
    parser.addoption("--image-dir", help="use a copy of this tree as the image instead of making one")
    parser.addoption("--bound-image", action="store_true",
                     help="no copy of it, and no look at whether it stays as it was: for a slow host that has it for itself")
    parser.addoption("--recipes-dir", help="use this tree for docs/recipes.md instead of making the image there")
    parser.addoption("--services-dir", help="use this tree for the images of services instead of making one")
    parser.addoption("--projects-dir", help="the tree in which the projects shape-* of tests/exec run")
    parser.addoption("--host-matters", action="store_true", help="only tests that depend on the host's systemd")
    parser.addoption("--supervisor-matters", action="store_true",
                     help="only tests that depend on whether systemd is the supervisor of jobs")
    parser.addoption("--pairwise", action="store_true",
                     help="of the twelve combinations only as many as it takes to have each pair of values together")
    parser.addoption("--share", metavar="DIR", type=Path,
                     help="others run the same tests with the same directory: leave out files that they have begun")


def _left_aside(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether the options, or what this host is, say that this test runs elsewhere."""
    marks = {mark.name for mark in item.iter_markers()}
    if item.name.startswith("test_kernel_without_a_feature") and host.has_systemd():
        return True
    if "needs_systemd" in marks and not host.has_systemd():
        return True
    if item.name.startswith("test_btrfs_quota[simple") and not host.has_simple_quotas():
        return True
    if item.name in OF_PACKAGES and not config.getoption("--services-dir"):
        return True
    if item.name.partition("[")[0] in OF_PROJECTS and not config.getoption("--projects-dir"):
        return True
    wanted = set()
    if config.getoption("--host-matters"):
        wanted = {"host_matters", "supervisor_matters"}
    elif config.getoption("--supervisor-matters"):
        wanted = {"supervisor_matters"}
    if wanted and (not wanted & marks or "any_host" in marks):
        return True
    combination = item.callspec.params.get("any_site") if hasattr(item, "callspec") else None
    return bool(config.getoption("--pairwise") and combination and combination not in PAIRWISE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what runs elsewhere; pytest says how many those were."""
    aside = [item for item in items if _left_aside(config, item)]
    config.hook.pytest_deselected(items=aside)
    order = {name: number for number, name in enumerate(LONGEST)}
    items[:] = sorted((item for item in items if item not in aside), key=lambda item: order.get(item.path.name, len(order)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Leaves out a test if another process has the file."""
    directory = item.config.getoption("--share")
    if not directory:
        return None
    mark = directory / item.path.name
    try:
        with open(mark, "x", encoding="ascii") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        pass
    return None if mark.read_text(encoding="ascii") == str(os.getpid()) else True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Files of which all tests run elsewhere are no error."""
    elsewhere = (session.config.getoption("--host-matters") or session.config.getoption("--supervisor-matters")
                 or reasons(session.config))
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and elsewhere:
        session.exitstatus = pytest.ExitCode.OK


def cpu_seconds() -> float:
    """The CPU time of this process, of what it waited for, and of what our parent waited for: under tools/lib/cpu-time those
    are processes that outlive what we started. Elsewhere our parent waits for us alone."""
    fields = host.read(f"/proc/{os.getppid()}/stat").rpartition(")")[2].split()
    mine = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return (sum(used.ru_utime + used.ru_stime for used in mine)
            + sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Each phase of a test has its limit."""
    item.stash[CPU_SECONDS] = cpu_seconds()
    with pace.limited(f"what {item.name} needs"):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Each phase of a test has its limit."""
    with pace.limited(item.name):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Each phase of a test has its limit."""
    with pace.limited(f"clearing up after {item.name}"):
        yield
    # For the JUnit file, from which tools/run-tests adds them up.
    item.user_properties.append(("cpu_seconds", round(cpu_seconds() - item.stash[CPU_SECONDS], 2)))


def left_out() -> dict[str, str]:
    """Test files that need what this host does not have, and what that is. They are not collected."""
    files = {}
    if not shutil.which("gitlab-runner"):
        files |= dict.fromkeys(("test_real_runner.py", "test_real_jobs.py"), "gitlab-runner is not in PATH")
    if not limits.effective():
        files["test_limits.py"] = "no cgroup controllers that systemd can hand to a service"
    return files


def reasons(config: pytest.Config) -> list[str]:
    """One line for each thing that was asked for and is not tested here."""
    missing = dict(left_out())
    if not config.getoption("--services-dir"):
        missing.update({f"{file}::{name}": "--services-dir with packages is not given"
                        for name, file in OF_PACKAGES.items()})
    if not config.getoption("--projects-dir"):
        missing.update({f"{file}::{name}": "--projects-dir is not given" for name, file in OF_PROJECTS.items()})
    if host.has_systemd():
        missing["test_badinput.py::test_kernel_without_a_feature"] = "the supervisor is a child of systemd, not of strace"
    else:
        missing |= dict.fromkeys(("test_report.py::test_metrics_socket",
                                  "test_supervisor.py::test_slice_that_systemd_still_has",
                                  "test_supervisor.py::test_unit_that_waits_for_its_start"), "systemd is not PID 1")
    if not host.has_simple_quotas():
        why = "btrfs has no simple quotas before Linux 6.7"
        missing |= {"test_disk.py::test_btrfs_quota[simple]": why, "test_limits.py::test_btrfs_quota[simple]": why}
    if not shutil.which("strace"):
        missing["test_crash.py::test_killed_at_system_calls"] = "strace is not in PATH"
        missing["test_agent.py::test_kernel_does_not_tell"] = "strace is not in PATH"
        missing["test_profile.py::test_profile"] = "strace is not in PATH"
        missing["test_registry_images.py::test_names_are_looked_up_once"] = "strace is not in PATH"
        missing["test_room.py::test_unreadable_things"] = "strace is not in PATH"
        missing["test_store.py::test_removal_is_killed"] = "strace is not in PATH"
    asked = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    here = Path(__file__).resolve().parent
    return [f"NOT RUN: {name}: {why}" for name, why in missing.items()
            if any((here / name.split("::", maxsplit=1)[0]).is_relative_to(path) for path in asked)]


collect_ignore = list(left_out())


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Says what is tested where, and names what is left out."""
    supervisor = "systemd" if host.has_systemd() else "detached"
    return [f"supervisor: {supervisor}; {host.systemd_version()}; kernel {os.uname().release}",
            *reasons(config)]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Repeats at the end what is left out."""
    for line in reasons(terminalreporter.config):
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(scope="session")
def driver(request: pytest.FixtureRequest) -> Path:
    """The program under test."""
    path = Path(request.config.getoption("--driver")).resolve()
    assert os.access(path, os.X_OK), f"{path} is missing: build first, or give --driver"
    assert os.geteuid() == 0, "these tests start containers: run them as root"
    return path


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, driver: Path) -> Iterator[Lab]:
    """Images and directories for the whole run."""
    given = request.config.getoption("--image-dir")
    laboratory = Lab(driver, Path(given).resolve() if given else None, request.config.getoption("--bound-image"))
    try:
        yield laboratory
        # Not a byte, an owner, a time or an attribute: other tests have the same images.
        changed = laboratory.changes_of_images()
        assert not changed, changed[:20]
    finally:
        laboratory.close()


@pytest.fixture(scope="module", autouse=True)
def end_of_file(lab: Lab, request: pytest.FixtureRequest) -> Iterator[None]:
    """When each file's tests have ended: no test may change a shared image, and so it is found out which ones did."""
    yield
    lab.note_end(request.path.name)


@pytest.fixture
def make_site(lab: Lab) -> Iterator[Callable[..., Site]]:
    """Makes sites; after the test none of them may have left anything on the host."""
    sites: list[Site] = []

    def make(root: Path | None = None, **settings: Any) -> Site:
        sites.append(Site(lab, settings, root))
        return sites[-1]
    yield make
    left = [line for site in sites for line in site.close()]
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def tmp_path(lab: Lab) -> Path:
    """A directory of the test's own, in place of the one that pytest has: that keeps those of several runs."""
    return Path(tempfile.mkdtemp(prefix="tmp-", dir=lab.base))


@pytest.fixture
def images(make_site: Callable[..., Site], tmp_path: Path) -> Iterator[Site]:
    """A site without any image."""
    root = tmp_path / "images"
    root.mkdir()
    yield make_site(root=root)
    host.remove_tree(root)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """The commonest site: overlay, user namespace, no boot."""
    return make_site()


@pytest.fixture(params=("no", "yes"), ids=("init", "boot"))
def any_boot_site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    """Overlay with a user namespace, in both boot modes."""
    return make_site(boot=request.param)


@pytest.fixture(params=COMBINATIONS, ids=combination_name)
def any_site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    """Each combination of storage, user namespace and boot mode."""
    storage, private_users, boot = request.param
    return make_site(storage=storage, private_users=private_users, boot=boot)


@pytest.fixture
def tiny_root(lab: Lab) -> Iterator[Path]:
    """An image root of the test's own, with one small image without systemd."""
    root = lab.tiny_root()
    yield root
    host.remove_tree(root)


@pytest.fixture(name="registry", scope="module")
def fixture_registry(lab: Lab) -> Iterator[ociimage.Registry]:
    """A registry with a password, that this process and its children can talk to."""
    directory = lab.base / "registry"
    with ociimage.registry(directory, password=True) as registry:
        before = dict(os.environ)
        os.environ.update(registry.environment())
        yield registry
        os.environ.clear()
        os.environ.update(before)
    host.remove_tree(directory)
