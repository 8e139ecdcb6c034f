# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees that would have root of the host write to the host: nothing starts in them, and no image is made of them."""

import itertools
import os
import re
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import host
import ociimage
from lab import Lab, Site
from maintenance import copy_of, define, maintain
from ociimage import Registry, Tar
from simulation.jobspec import Job

pytestmark = pytest.mark.host_matters

NAME = "bad"
DIRECTORIES = ("dev", "etc", "proc", "run", "sys", "tmp", "usr", "var")
LINKS = ("absolute", "relative", "dangling", "link to a link", "root", "in the tree")
KINDS = {**dict.fromkeys(LINKS, "symbolic link"), "pipe": "named pipe", "socket": "socket", "file": "regular file",
         "device": "device"}
COMMANDS = ("job", "chroot-run", "chroot-login", "playbook", "from")

@pytest.fixture(name="canary")
def fixture_canary(tmp_path: Path) -> Iterator["Canary"]:
    """Stands for the host: what a tree leads to, and what must be at the end as it was."""
    canary = Canary(tmp_path / "canary")
    yield canary
    canary.check()


class Canary:
    """A directory with all that is written to where a tree leads elsewhere."""

    def __init__(self, path: Path):
        self.path = path
        for name in (*DIRECTORIES, "run/host/incoming", "run/systemd", "sys/fs"):
            (path / name).mkdir(parents=True)
        for name in ("run/host/container-manager", "run/host/container-uuid", "run/host/os-release", "dev/fd", "dev/null",
                     "dev/ptmx", "etc/hostname", "etc/hosts", "etc/resolv.conf", "usr/file", "machine-id"):
            (path / name).write_text("precious\n")
        (path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        os.chown(path / "dev/fd", 1234, 1234)
        self._before = host.fingerprint(path, content=True)

    def check(self, *of_what: Any) -> None:
        """Nothing has changed."""
        assert host.changes(self._before, host.fingerprint(self.path, content=True)) == [], of_what


def make_tree(tree: Path) -> Path:
    """The smallest tree that everything works in."""
    for name in (*DIRECTORIES, "bin", "root", "usr/lib"):
        (tree / name).mkdir(parents=True)
    subprocess.run(["cp", ociimage.BUSYBOX, tree / "bin/busybox"], check=True)
    for name in ("sh", "cat", "ls", "echo", "true", "mv", "ln", "rm", "mkdir", "readlink", "test", "stat", "touch"):
        (tree / "bin" / name).symlink_to("busybox")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return tree


def put(tree: Path, place: str, kind: str, target: Path) -> None:
    """Replaces what is there."""
    path = tree / place
    host.remove_tree(path)
    (tree / "first").unlink(missing_ok=True)
    if kind == "absolute":
        path.symlink_to(target)
    elif kind == "relative":
        path.symlink_to("../" * 20 + str(target)[1:])
    elif kind == "dangling":
        path.symlink_to(target.parent / "not" / "there")
    elif kind == "link to a link":
        (tree / "first").symlink_to(target)
        path.symlink_to(("../" * place.count("/")) + "first")
    elif kind == "root":
        path.symlink_to("/")
    elif kind == "in the tree":
        path.symlink_to("bin")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(path))
    elif kind == "device":
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "file":
        path.write_text("a file\n")
    else:
        path.mkdir()


def login(site: Site, script: str, *options: str) -> subprocess.CompletedProcess:
    """chroot-login with that script for its shell's input."""
    return subprocess.run(site.argv("chroot-login", NAME, *options), input=script, capture_output=True, text=True,
                          check=False)


def start(site: Site, command: str) -> str:
    """Starts the image by that command, which must fail: what it says."""
    if command == "job":
        result = site.run(Job(["echo started"], image=NAME))
        # The job named it, so no other try is made.
        assert result.failure_reason == "script_failure" and result.names().count("prepare") == 1, str(result)
        return result.log
    if command == "chroot-run":
        done: Any = site.call("chroot-run", NAME, "--", "/bin/sh", "-c", "echo started")
    elif command == "chroot-login":
        done = login(site, "echo started\n")
    elif command == "playbook":
        define(site, NAME, tasks="- raw: echo started\n")
        done = site.call("chroot-maintenance", NAME)
        (site.definitions / f"{NAME}.yaml").unlink()
    else:
        define(site, "copy", f"from: {NAME}", tasks="- raw: echo started\n")
        done = site.call("chroot-create", "copy")
        (site.definitions / "copy.yaml").unlink()
        assert not (site.root / "copy").exists(), done
    assert done.returncode not in (0, None), done
    return done.stdout + done.stderr


def rows() -> list[tuple[str, str, str, bool]]:
    """Each directory as each kind; each command and each way of users with each of both."""
    pairs = list(itertools.product(DIRECTORIES, KINDS))
    kinds = list(KINDS)
    out = [(place, kind, COMMANDS[(DIRECTORIES.index(place) + kinds.index(kind)) % len(COMMANDS)],
            (DIRECTORIES.index(place) // 5 + kinds.index(kind) // 5 + DIRECTORIES.index(place)) % 2 == 0)
           for place, kind in pairs]
    for first, second in itertools.combinations(range(4), 2):
        values = [{row[i] for row in out} for i in (first, second)]
        missing = set(itertools.product(*values)) - {(row[first], row[second]) for row in out}
        assert not missing, missing
    return out


def test_nothing_starts(make_site: Callable[..., Site], canary: Canary, tmp_path: Path, monkeypatch) -> None:
    """No command starts anything in such a tree that came by hand; each says what is wrong with it."""
    root = tmp_path / "images"
    tree = make_tree(root / NAME)
    monkeypatch.chdir(root)  # the path of a socket is short
    sites = {users: make_site(root=root, private_users=users) for users in (True, False)}
    for place, kind, command, users in rows():
        put(tree, place, kind, canary.path / place)
        said = start(sites[users], command)
        refused = f"its /{place} is a {KINDS[kind]} and has to be a directory" in said
        # Without any programs in it, it is not even taken for an image.
        assert refused or (place == "usr" and "is not an image" in said), \
            (place, kind, command, users, said)
        assert "started" not in said.replace("echo started", ""), (place, kind, command, users, said)
        canary.check(place, kind, command, users)
        put(tree, place, "directory", canary.path)
        (tree / "usr/lib").mkdir(exist_ok=True)
    host.remove_tree(root)


@pytest.mark.parametrize("storage", ("overlay", "tmpfs", "btrfs"))
def test_attack(make_site: Callable[..., Site], lab: Lab, canary: Canary, tmp_path: Path, storage: str) -> None:
    """The tree that had a file of the host overwritten, as its path leads: through the image root to itself."""
    with lab.file_system("btrfs", "attack", "200M") as where:
        root = where if storage == "btrfs" else tmp_path / "images"
        tree = make_tree(root / NAME)
        (tree / "evil/host").mkdir(parents=True)
        for name in ("container-manager", "container-uuid"):
            (tree / "evil/host" / name).symlink_to(canary.path / "run/host" / name)
        for users in (True, False):
            site = make_site(root=root, storage=storage, private_users=users)
            for target in (f"/../../..{tree}/evil", "evil"):
                host.remove_tree(tree / "run")
                (tree / "run").symlink_to(target)
                for command in COMMANDS[:3]:
                    assert "its /run is a symbolic link" in start(site, command)
                    canary.check(target, command)
            assert site.traces() == []
        host.remove_tree(root / ".layers")
        host.remove_tree(tree)


MACHINE_ID = ("absolute", "relative", "dangling", "link to a link", "pipe", "socket", "device", "directory", "file")


def test_machine_id(make_site: Callable[..., Site], lab: Lab, canary: Canary, tmp_path: Path, monkeypatch) -> None:
    """Whatever is there that is no file is not followed, not waited for, and not what the container gets."""
    with lab.file_system("btrfs", "machine-id", "200M") as where:
        sites = []
        for storage, users in (("overlay", True), ("overlay", False), ("tmpfs", True), ("btrfs", True)):
            root = where if storage == "btrfs" else tmp_path / storage
            if not (root / NAME).exists():
                make_tree(root / NAME)
            sites.append(make_site(root=root, storage=storage, private_users=users))
        for i, kind in enumerate(MACHINE_ID):
            for site in (sites[i % 4], sites[(i + 1) % 4]):
                tree = site.root / NAME
                monkeypatch.chdir(tree)
                put(tree, "etc/machine-id", kind, canary.path / "etc/machine-id")
                if kind == "file":
                    (tree / "etc/machine-id").write_text("")
                before = host.fingerprint(tree)
                for done in (site.call("chroot-run", NAME, "--", "/bin/sh", "-c", "test -f /etc/machine-id; "
                                       "cat /etc/machine-id"),
                             login(site, "cat /etc/machine-id 2>/dev/null; echo started\n", "--discard")):
                    assert done.returncode == 0 and "0123456789abcdef" not in done.stdout, (kind, done)
                    assert len(done.stdout.strip()) == 32 or "started" in done.stdout, (kind, done)
                assert host.changes(before, host.fingerprint(tree)) == [], kind
                canary.check(kind)
        for site in sites:
            monkeypatch.chdir(tmp_path)
            host.remove_tree(site.root / ".layers")
            host.remove_tree(site.root / NAME)


# What is in etc instead of usual files; None: there is no etc.
ODD_FILES: tuple[dict[str, str] | None, ...] = (
    {"machine-id": "a text", "resolv.conf": "directory", "hostname": "directory", "hosts": "directory"},
    {"machine-id": "long", "resolv.conf": "pipe", "hostname": "pipe", "hosts": "pipe"},
    {"machine-id": "0" * 32, "resolv.conf": "dangling", "hostname": "to a file", "hosts": "to a file"},
    {"machine-id": "0123456789abcdef" * 2, "resolv.conf": "device", "hostname": "absolute", "hosts": "link to a link"},
    None,
)


FOREIGN = {"machine-id": "fedcba9876543210" * 2}


def put_odd(tree: Path, files: dict[str, str] | None, canary: Canary) -> None:
    """Gives a tree these. Its etc belongs to nobody that the container knows as root."""
    put(tree, "etc", "directory", canary.path)
    if files is None:
        (tree / "etc").rmdir()
        return
    for name, kind in files.items():
        if name == "machine-id":
            (tree / "etc" / name).write_text("x" * (4 << 20) if kind == "long" else kind + "\n")
        elif kind == "to a file":
            (tree / "etc" / f"{name}.real").write_text(f"::1 {name}\n")
            (tree / "etc" / name).symlink_to(f"{name}.real")
        else:
            put(tree, f"etc/{name}", kind, canary.path / "etc" / name)
        if kind == "directory":
            (tree / "etc" / name / "file").touch()
            os.chown(tree / "etc" / name, 4321, 4321)
    os.chown(tree / "etc", 1234, 1234)


def test_odd_files(make_site: Callable[..., Site], canary: Canary, tmp_path: Path) -> None:
    """What a container has of its own in /etc starts no image's end, whatever it finds there."""
    root = tmp_path / "images"
    tree = make_tree(root / NAME)
    file = "test -f" if Path("/etc/resolv.conf").exists() else "test ! -f"
    usual = f"cat /etc/machine-id; {file} /etc/resolv.conf && echo started"
    for files, users in (*itertools.product(ODD_FILES, (True, False)), (FOREIGN, True)):
        put_odd(tree, files, canary)
        if files == FOREIGN:  # whom a job does not have
            os.chown(tree / "etc", 4000000, 4000000)
            os.chown(tree / "etc/machine-id", 4000000, 4000000)
        before = host.fingerprint(tree)
        script = usual if files != FOREIGN else "echo started"
        done = make_site(root=root, private_users=users).call("chroot-run", NAME, "--", "/bin/sh", "-c", script)
        assert done.returncode == 0 and done.stdout.endswith("started\n"), (files, done)
        if files == FOREIGN:
            continue
        if files and files["hosts"] == "to a file":
            seen = make_site(root=root, private_users=users).call("chroot-run", NAME, "--", "/bin/cat", "/etc/hosts")
            assert re.fullmatch(r"::1 hosts\n127\.0\.1\.1\tnspawn-runner-\S+\n", seen.stdout), seen
        # an id of its own, not that of all
        assert re.match("[0-9a-f]{32}\n", done.stdout), (files, done)
        assert files is None or files["machine-id"] not in done.stdout, (files, done)
        assert host.changes(before, host.fingerprint(tree)) == [], files
        canary.check(files)
    host.remove_tree(root)


def look(path: Path) -> tuple:
    """What is there, as far as an image has it."""
    if not os.path.lexists(path):
        return ()
    info = path.lstat()
    what = os.readlink(path) if path.is_symlink() else path.read_text() if stat.S_ISREG(info.st_mode) else ""
    return info.st_mode, info.st_uid, what


def test_odd_files_in_playbooks(images: Site, canary: Canary) -> None:
    """Files come back as they were; where a container's file took the place of something else, there is nothing then."""
    names = ("odd0", "odd2")  # with directories, and with links
    places = list(itertools.product(names, ("machine-id", "resolv.conf", "hostname", "hosts", "hostname.real",
                                            "hosts.real")))
    for name in names:
        define(images, name, tasks="- raw: echo >/made\n")
        put_odd(make_tree(images.root / name), ODD_FILES[int(name[-1])], canary)
    before = {(name, file): look(images.root / name / "etc" / file) for name, file in places}
    before["odd0", "resolv.conf"] = ()
    report = maintain(images)
    assert report.results == dict.fromkeys(names, "updated"), report
    assert {(name, file): look(images.root / name / "etc" / file) for name, file in places} == before


def test_bind_through_a_link(make_site: Callable[..., Site], canary: Canary, tmp_path: Path) -> None:
    """A directory that jobs share is not mounted where root of the host writes, wherever the image has it lead."""
    root, shared = tmp_path / "images", tmp_path / "shared"
    tree = make_tree(root / NAME)
    (tree / "var/run").symlink_to("/run")
    (tree / "data").mkdir()
    shared.mkdir()
    for name in ("container-manager", "container-uuid"):  # as a job before could have left them
        (shared / name).symlink_to(canary.path / "run/host" / name)
        (shared / "host").mkdir(exist_ok=True)
        (shared / "host" / name).symlink_to(canary.path / "run/host" / name)
    (shared / "machine-id").symlink_to(canary.path / "etc/machine-id")
    bind = [f"{shared}:/cache"]
    for users in (True, False):
        site = make_site(root=root, private_users=users, bind=bind)
        for i, (target, where) in enumerate((("run/host", "/run/host"), ("/run", "/run"), ("var/run/host", "/run/host"),
                                             ("etc", "/etc"), ("/", "/"), ("run/../dev", None))):
            (tree / "cache").symlink_to(target)
            said = start(site, ("job", "chroot-run")[i % 2])
            assert (f"'/cache', where something is mounted for jobs, leads to '{where}' in it" if where else
                    "cannot find out where '/cache' leads in it, where something is mounted for jobs") in said, said
            (tree / "cache").unlink()
            canary.check(target)
        for target in ("data", "var/run/data"):
            (tree / "cache").symlink_to(target)
            if target == "data":
                done = site.call("chroot-run", NAME, "--", "/bin/ls", "/data")
                assert done.returncode == 0 and "container-manager" in done.stdout, done
            (tree / "cache").unlink()
    host.remove_tree(root)


def test_bind_through_another(make_site: Callable[..., Site], canary: Canary, tmp_path: Path) -> None:
    """Nor does an image have one lead into another, where jobs choose how the path goes on."""
    root, shared, data = tmp_path / "images", tmp_path / "shared", tmp_path / "data"
    tree = make_tree(root / NAME)
    for path in (shared, data):
        path.mkdir()
    (shared / "link").symlink_to("/run/host")
    (shared / "deep").symlink_to("/run/one/two")
    for name in ("container-manager", "container-uuid"):
        (data / name).symlink_to(canary.path / "run/host" / name)
    bind = [f"{shared}:/cache", f"{data}:/data"]
    (tree / "srv").symlink_to("cache")
    for users in (True, False):
        site = make_site(root=root, private_users=users, bind=bind)
        for i, target in enumerate(("/cache/link", "srv/link", "cache/deep/../../host", "cache")):
            (tree / "data").symlink_to(target)
            said = start(site, ("job", "chroot-run")[i % 2])
            assert "'/data', where something is mounted for jobs, leads into '/cache', another such place" in said
            (tree / "data").unlink()
            canary.check(target)
        (tree / "data").symlink_to("cached")
        done = site.call("chroot-run", NAME, "--", "/bin/ls", "/cached", "/cache")
        assert done.returncode == 0 and "container-manager" in done.stdout and "deep" in done.stdout, done
        (tree / "data").unlink()
    host.remove_tree(root)


def test_usual_trees(make_site: Callable[..., Site], canary: Canary, tmp_path: Path) -> None:
    """Links that images do have, directories that they lack, and what an administrator has mounted in one."""
    root = tmp_path / "images"
    tree = make_tree(root / NAME)
    for name, target in (("lib", "usr/lib"), ("lib64", "/usr/lib"), ("home", "var/home"), ("var/run", "/run"),
                         ("var/lock", "/run/lock"), ("var/tmp", "/tmp"), ("etc/mtab", "/proc/self/mounts"),
                         ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
                         ("etc/localtime", "/usr/share/zoneinfo/UTC"), ("dev/null", str(canary.path / "dev/null")),
                         ("run/host", str(canary.path / "run/host"))):
        (tree / name).symlink_to(target)
    for users in (True, False):
        site = make_site(root=root, private_users=users)
        script = "test -c /dev/null && test -d /run/host/incoming && readlink /var/run && echo started"
        for done in (site.call("chroot-run", NAME, "--", "/bin/sh", "-c", script), login(site, script + "\n", "--discard")):
            assert done.returncode == 0 and done.stdout.endswith("/run\nstarted\n"), done
        with site.started(Job(image=NAME), shell="sh") as build:
            assert build.run_script(script, raw=True).stdout == b"/run\nstarted\n"
        canary.check()

    subprocess.run(["mount", "--bind", canary.path / "dev", tree / "dev"], check=True)
    try:
        for users in (True, False):
            done = make_site(root=root, private_users=users).call("chroot-run", NAME, "--", "/bin/true")
            assert done.returncode == 0, done
            canary.check("mounted")
    finally:
        host.unmount(tree / "dev")

    for name in ("dev", "proc", "run", "sys", "tmp", "var", "root"):
        host.remove_tree(tree / name)
    for users in (True, False):
        done = make_site(root=root, private_users=users).call("chroot-run", NAME, "--", "/bin/sh", "-c", "ls -d /dev /run")
        assert (done.returncode, done.stdout) == (0, "/dev\n/run\n"), done
    host.remove_tree(root)


@pytest.mark.any_host
def test_no_image_is_made(images: Site, canary: Canary, tmp_path: Path) -> None:
    """Neither of what a source has, nor of what a playbook or a login has made of a good tree."""
    tree = make_tree(tmp_path / "tree")
    change = 'rm -rf "$ROOT/{0}"; ln -s ' + str(canary.path) + '/{0} "$ROOT/{0}"'
    for place in DIRECTORIES:
        define(images, f"by-command-{place}", command=copy_of(tree, change.format(place)))
    turn = "mv /var /elsewhere && ln -s {} /var"
    define(images, "by-playbook", command=copy_of(tree), tasks=f"- raw: {turn.format('elsewhere')}\n")
    define(images, NAME, command=copy_of(tree))
    report = maintain(images)
    assert report.results == {**{f"by-command-{place}": "failed" for place in DIRECTORIES}, "by-playbook": "failed",
                              NAME: "created"}, report
    for place in DIRECTORIES:
        said = report.says(f"by-command-{place}")
        assert f"cannot be used as a root file system: its /{place} is a symbolic link" in said, said
    assert "no image can be made of its tree: its /var is a symbolic link" in report.says("by-playbook"), report

    before = host.fingerprint(images.root / NAME)
    done = login(images, turn.format(canary.path / "var") + "\n", "--publish")
    assert done.returncode != 0 and "its /var is a symbolic link" in done.stderr, done
    assert host.changes(before, host.fingerprint(images.root / NAME)) == []
    assert sorted(name for name in os.listdir(images.root) if not name.startswith(".")) == [NAME]


@pytest.mark.any_host
def test_fetched(make_site: Callable[..., Site], canary: Canary, tmp_path: Path, monkeypatch) -> None:
    """From a registry, where any author of a job may have put it: the job is told, once, and nothing is kept."""
    def change(tar: Tar) -> None:
        tar.directory("evil", "evil/host").symlink("evil/host/container-manager",
                                                   str(canary.path / "run/host/container-manager"))
        tar.symlink("run", "evil")

    root = tmp_path / "images"
    make_tree(root / NAME)
    layout = tmp_path / "layout"
    ociimage.busybox_layout(layout, change)
    with ociimage.registry(tmp_path / "registry") as registry:
        for name, value in registry.environment().items():
            monkeypatch.setenv(name, value)
        image = push_to(registry, layout)
        site = make_site(root=root, pull="if-not-present")
        result = site.run(Job(image=image))
        assert result.failure_reason == "script_failure" and result.names().count("prepare") == 1, str(result)
        assert "cannot be used as a root file system: its /run is a symbolic link" in result.log, result.log
        assert [name for name in os.listdir(root / ".oci") if not name.startswith(".")] == []
    host.remove_tree(root)


def push_to(registry: Registry, layout: Path) -> str:
    """Puts the image into the registry; returns its reference."""
    return registry.push(layout, "group/evil:1")


def test_no_second_start(make_site: Callable[..., Site], canary: Canary, tmp_path: Path) -> None:
    """A login's container cannot be started again by what runs in it: nobody would look at its tree once more."""
    root = tmp_path / "images"
    make_tree(root / NAME)
    for users in (True, False):
        site = make_site(root=root, private_users=users)
        done = login(site, "echo started; busybox reboot -f; echo goes on\n", "--discard")
        assert done.returncode == 0 and done.stdout == "started\ngoes on\n", done
        canary.check(users)
    host.remove_tree(root)
