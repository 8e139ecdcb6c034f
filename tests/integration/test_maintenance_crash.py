# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance in a loop while jobs run in a loop; killed at many points; on a full disk."""

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
from lab import Lab, Site
from maintenance import (FILE_SYSTEMS, NAP, assert_settled, assert_whole, copy_of, define, generations, gone, maintain,
                         maintaining, output, report_of, running)
from pace import wait_until

ROUNDS = 4

# A generation is whole if both files say the same; they are the first and the last that is written.
MARK = "echo {0} >$ROOT/aaa; sync -f $ROOT; echo {0} >$ROOT/zzz"
PLAY = "- raw: echo {0} >/aaa; echo {0} >/zzz\n"


@pytest.fixture(name="images", params=FILE_SYSTEMS)
def fixture_images(request: pytest.FixtureRequest, lab: Lab, make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site without any image on a new file system."""
    with lab.file_system(request.param, request.node.name.partition("[")[0], "600M") as where:
        yield make_site(root=where, storage=FILE_SYSTEMS[request.param])


def assert_in_order(site: Site) -> None:
    """assert_settled(), and old generations are whole and no more than are kept."""
    assert_settled(site)
    store = site.root / ".generations"
    for image in store.iterdir():
        names = set(os.listdir(image))
        trees = {name for name in names if name.isdigit()}
        assert len(trees) <= 1 and {f"{name}.json" for name in trees} <= names, names
        assert not {name for name in names if not re.fullmatch(r"\d+(\.json)?", name)}, names
        for name in trees:
            assert_whole(image / name)


def test_jobs_meanwhile(images: Site, lab: Lab) -> None:
    """Jobs in a loop during maintenance in a loop: each has one generation, whole, from its begin to its end."""
    site, stop, failures, made = images, threading.Event(), [], []

    def publish(number: int) -> None:
        # Anew from its source, and by a playbook in a copy.
        define(site, "one", command=copy_of(lab.tiny_image(), MARK.format(number)))
        define(site, "two", command=copy_of(lab.tiny_image(), MARK.format(0)), tasks=PLAY.format(number) if number else "")
        report = maintain(site, "--jobs=2", *([] if number % 3 == 0 else ["one"]))
        if report.status != 0:
            failures.append(str(report))
        made.append(number)

    def publish_all() -> None:
        number = 1
        while not stop.is_set():
            publish(number)
            number += 1

    publish(0)
    thread = threading.Thread(target=publish_all)
    thread.start()
    seen: dict[str, set[int]] = {"one": set(), "two": set()}
    try:
        count = 0
        while not failures and (count < ROUNDS or len(seen["one"]) < 3):
            count += 1
            image = "two" if count % 4 == 3 else "one"
            with running(site, image) as build:
                states = {build.run_script("cat /aaa /zzz; ls /usr/bin | wc -l").stdout for _ in range(3)}
            assert len(states) == 1, states
            first, last, _ = states.pop().decode().split()
            assert first == last
            seen[image].add(int(first))
        wait_until(lambda: failures or len(made) >= ROUNDS)
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert maintain(site).status == 0
    assert site.call("gc").returncode == 0
    assert_in_order(site)


def check_after_kill(site: Site, allowed: set[str]) -> None:
    """The image is there, whole, for jobs; what ran has ended by itself."""
    wait_until(lambda: gone(site))
    assert assert_whole(site.root / "one") in allowed, allowed
    assert sorted(row["generation"] for name, row in generations(site).items() if "@" not in name)


def change(site: Site, lab: Lab, number: int, play: bool = True) -> None:
    """Has the next maintenance work for all that it can do: fill, play, test, publish, remove an old one."""
    define(site, "one", 'test: "stat /aaa /zzz"', command=copy_of(lab.tiny_image(), MARK.format(number)),
           tasks="- raw: echo played\n  changed_when: no\n" if play else "")


def test_killed_at_many_points(images: Site, lab: Lab) -> None:
    """SIGKILL, to the whole group or to the command alone, whose children then end: the last published tree is there and
    of use, and the next maintenance succeeds and leaves nothing of it."""
    # Ansible takes most of the time, and does the same on all file systems.
    site, play = images, images.root.name.startswith("ext4")
    change(site, lab, 0, play=False)
    assert maintain(site).status == 0
    change(site, lab, 1, play)
    begin = time.monotonic()
    assert maintain(site).status == 0
    duration = time.monotonic() - begin
    points = 7
    for number in range(2, 2 + points):
        change(site, lab, number, play)
        with maintaining(site) as process:
            time.sleep(duration * 1.05 * (number - 2) / points)
            if number % 2:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        check_after_kill(site, {str(other) for other in range(number + 1)})
        if number % 4 == 0:
            first, last = output(site, "one", "cat /aaa /zzz").split()
            assert first == last
    change(site, lab, 99, play)
    report = maintain(site)
    assert report.status == 0 and assert_whole(site.root / "one") == "99", report
    assert_in_order(site)


def child_of(process: subprocess.Popen[str]) -> int:
    """The process that works on the image."""
    found: list[int] = []

    def find() -> bool:
        found[:] = map(int, host.read(f"/proc/{process.pid}/task/{process.pid}/children").split())
        return bool(found)
    wait_until(find)
    return found[0]


# What works on an image while its definition's part of that name hangs.
VICTIMS = {"command": ("child", "sleep"),
           "task": ("child", "ansible-playbook", "supervise", "systemd-nspawn", "sleep"),
           "local": ("child", "ansible-playbook", "sleep"),  # on the host: it does not miss the machine
           "test": ("child", "supervise", "systemd-nspawn", "sleep")}


@pytest.mark.parametrize("where", ("command", pytest.param("task", marks=pytest.mark.supervisor_matters), "local", "test"))
def test_parts_killed(make_site: Callable[..., Site], lab: Lab, tmp_path: Path, where: str) -> None:
    """SIGKILL to whatever is at work for it: the image failed, the others are made, and nothing is left of it. What the
    dead could not clear away, the next maintenance does."""
    root = tmp_path / "images"
    root.mkdir()
    site = make_site(root=root)
    change(site, lab, 0, play=False)
    assert maintain(site).status == 0
    commands = {"command": {}, "task": {"tasks": f"- raw: exec {NAP}\n"},
                "local": {"tasks": f"- local_action: command {NAP}\n"}, "test": {}}[where]
    made = copy_of(lab.tiny_image(), f"exec {NAP}" if where == "command" else MARK.format(1))
    define(site, "one", *([f'test: "exec {NAP}"'] if where == "test" else []), command=made, **commands)
    define(site, "two", command=copy_of(lab.tiny_image(), MARK.format(1)))
    for victim in VICTIMS[where]:
        with maintaining(site) as process:
            wait_until(lambda: [command for command in host.processes().values() if command == NAP])
            pids = [child_of(process)] if victim == "child" else \
                [pid for pid, command in host.processes().items() if f"{victim} " in command and
                 (pid in site.job_pids() or command == NAP or str(site.definitions) in command) and
                 re.match(rf"(\S*python3 )?(\S*/)?(nspawn-runner )?{victim}\b", command)]
            assert pids, victim
            for pid in pids:
                with suppress(ProcessLookupError):  # gone with the one before
                    os.kill(pid, signal.SIGKILL)
            report = report_of(process)
            assert report.status == 1 and report.results["one"] == "failed", (victim, str(report))
            assert report.results["two"] in ("created", "unchanged"), (victim, str(report))
            if victim != "child":
                assert "ERROR: Image 'one' stays as it was: " in report.says("one"), (victim, str(report))
        wait_until(lambda: gone(site))
        assert assert_whole(root / "one") == "0"
    assert output(site, "one", "cat /zzz") == "0\n"
    change(site, lab, 2, play="tasks" in commands)
    report = maintain(site)
    assert report.results == {"one": "updated", "two": "unchanged"}, report
    assert_in_order(site)
    host.remove_tree(root)


def test_killed_at_each_step(make_site: Callable[..., Site], lab: Lab, tmp_path: Path) -> None:
    """As soon as a step is announced. A playbook takes most of the time: it is there only for steps that are not without."""
    root = tmp_path / "images"
    root.mkdir()
    site, number, known = make_site(root=root), 0, set()
    for play in (False, True):
        number += 1
        change(site, lab, number, play)
        report = maintain(site)
        # Those of the playbook itself come from one program.
        steps = [re.sub(r"[\d.]+", "N", line) for line in report.says("one").splitlines()
                 if not line.startswith(("TASK", "changed", "ok", "PLAY RECAP"))]
        assert report.status == 0 and len(steps) > (7 if play else 4), report
        for count, step in enumerate(steps, 1):
            if step in known:
                continue
            known.add(step)
            number += 1
            change(site, lab, number, play)
            with maintaining(site) as process:
                assert process.stderr
                for _ in range(count):
                    process.stderr.readline()
                os.killpg(process.pid, signal.SIGKILL)
            check_after_kill(site, {str(other) for other in range(number + 1)})
    change(site, lab, 99)
    assert maintain(site).status == 0 and assert_whole(root / "one") == "99"
    assert_in_order(site)
    host.remove_tree(root)


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_full_disk(lab: Lab, make_site: Callable[..., Site], kind: str) -> None:
    """While the tree is made, by the playbook, and when the tree is copied: said so, and the image is as it was."""
    fill = "dd if=/dev/zero of={0}/fill bs=1M count=1000 2>&1"
    with lab.file_system(kind, "full", {"ext4": "80M", "btrfs": "300M", "xfs": "320M"}[kind]) as where:
        site = make_site(root=where, storage=FILE_SYSTEMS[kind], disk_reserve=0)
        define(site, "one", command=copy_of(lab.tiny_image(), MARK.format(1)))
        assert maintain(site).status == 0

        define(site, "one", command=copy_of(lab.tiny_image(), fill.format("$ROOT")))
        report = maintain(site)
        assert report.status == 1 and "No space left on device" in report.says("one"), report
        assert_in_order(site)
        assert assert_whole(where / "one") == "1"

        define(site, "one", command=copy_of(lab.tiny_image(), MARK.format(1)), tasks=f"- raw: {fill.format('')}\n")
        report = maintain(site)
        assert report.status == 1 and "No space left on device" in report.says("one"), report
        assert_in_order(site)

        with open(where / "ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(os.urandom(256 * 1024))
            except OSError:
                pass
        report = maintain(site)
        assert report.status == 1 and report.results == {"one": "failed"}, report
        assert "No space left on device" in report.says("one"), report
        (where / "ballast").unlink()
        if kind == "btrfs":  # gives the room of subvolumes back a moment later
            for thing in ("filesystem", "subvolume"):
                subprocess.run(["btrfs", thing, "sync", where], check=True, capture_output=True)
        assert assert_whole(where / "one") == "1"
        assert_in_order(site)
        assert output(site, "one", "cat /aaa") == "1\n"

        define(site, "one", command=copy_of(lab.tiny_image(), MARK.format(2)))
        report = maintain(site)
        assert report.results == {"one": "updated"}, report
        assert_in_order(site)


def test_root_dir_vanished(make_site: Callable[..., Site], lab: Lab, tmp_path: Path) -> None:
    """It is made again; a file in its place is an error that says so."""
    site = make_site(root=tmp_path / "not/yet/there")
    define(site, "one", command=copy_of(lab.tiny_image(), MARK.format(1)))
    assert maintain(site).results == {"one": "created"}
    host.remove_tree(tmp_path / "not")
    (tmp_path / "not").write_text("")
    report = maintain(site)
    assert report.status == 1 and "cannot make the directory of the images: Not a directory" in report.says("one"), report


@pytest.mark.parametrize("what", ("file", "symlink", "mount"))
def test_name_is_taken(make_site: Callable[..., Site], lab: Lab, tmp_path: Path, what: str) -> None:
    """By what is no image, or cannot be exchanged: it stays."""
    root = tmp_path / "images"
    root.mkdir()
    site = make_site(root=root)
    define(site, "one", command=copy_of(lab.tiny_image(), MARK.format(1)))
    if what == "file":
        (root / "one").write_text("mine")
    elif what == "symlink":
        (tmp_path / "elsewhere").mkdir()
        (root / "one").symlink_to(tmp_path / "elsewhere")
    else:
        assert maintain(site).status == 0
        subprocess.run(["mount", "--bind", root / "one", root / "one"], check=True)
        define(site, "one", command=copy_of(lab.tiny_image(), MARK.format(2)))
    def content() -> object:
        path = root / "one"
        return path.readlink() if path.is_symlink() else path.read_text() if path.is_file() else host.fingerprint(path)

    before = content()
    try:
        report = maintain(site)
        assert report.status == 1 and report.results == {"one": "failed"}, report
        assert content() == before, report
    finally:
        if what == "mount":
            host.unmount(root / "one")
    assert_settled(site)
    host.remove_tree(root)
