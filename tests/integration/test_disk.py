# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk does not fill: what nobody needs is removed before a job starts, and then no job starts."""

import os
import shutil
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
from lab import IMAGE, Lab, Site
from simulation.jobspec import Job

MIB = 1 << 20


@pytest.fixture(name="small_site")
def fixture_small_site(lab: Lab, make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site with one tiny image on a file system of its own, of 120 MB."""
    with lab.file_system("ext4", "small", "120M") as where:
        root = where / "root"
        root.mkdir()
        shutil.copytree(lab.tiny_image(), root / IMAGE, symlinks=True)
        yield make_site(root=root, storage="overlay")
        host.remove_tree(root)


def free(path: Path) -> int:
    """Bytes that are free on its file system."""
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def reserve(site: Site, value: int | str) -> None:
    """Sets disk_reserve."""
    site.settings["disk_reserve"] = str(value)
    site.write_config()


def test_reserve(small_site: Site) -> None:
    """What ended jobs left is removed first, without which there would be too little; then jobs are refused, as a failure
    of the runner that says what to do; with 0 they are not."""
    site = small_site
    left = site.root / ".trash" / f"{site.prefix}1-0badcafe.0123456789abcdef"
    (left / "upper").mkdir(parents=True)
    before = free(site.root)
    (left / "upper/file").write_bytes(os.urandom(20 * MIB))
    reserve(site, before - 10 * MIB)
    assert site.run(Job()).state == "success"
    assert not left.exists()

    reserve(site, before + 10 * MIB)
    assert "less than disk_reserve" in site.call("doctor").stdout
    result = site.run(Job())
    assert result.failure_reason == "runner_system_failure", str(result)
    assert "is nearly full" in result.log and "chroot-remove" in result.log, result.log
    assert (site.root / IMAGE / "usr/bin/bash").exists() and site.traces() == []

    reserve(site, 0)
    assert site.run(Job()).state == "success"


def test_caches_give_way(small_site: Site) -> None:
    """Only as many as it takes, the least recently used first, and before a job is refused."""
    site = small_site
    for project in (1, 2):
        assert site.run(Job(["dd if=/dev/urandom of=/cache/data bs=1M count=10"], project=project)).state == "success"
    reserve(site, free(site.root) + 5 * MIB)
    assert site.run(Job(project=3)).state == "success"
    caches = [path.name.split("-")[1] for path in (site.root / ".caches").iterdir()]
    assert sorted(caches) == ["2", "3"], caches
    with site.started(Job(project=2)):
        reserve(site, free(site.root) + 5 * MIB)
        result = site.run(Job(project=3))
        assert "is nearly full" in result.log, str(result)
    assert site.run(Job(project=3)).state == "success"
    assert not [path for path in (site.root / ".caches").iterdir() if path.name.split("-")[1] == "2"]


def test_reserve_of_files(small_site: Site) -> None:
    """A share of the disk is one of its files, too."""
    site = small_site
    info = os.statvfs(site.root)
    many = site.root / "many"
    many.mkdir()
    for number in range(info.f_favail - info.f_files // 20):
        (many / str(number)).symlink_to("nowhere")
    reserve(site, "10%")
    result = site.run(Job())
    assert result.failure_reason == "runner_system_failure" and "files only" in result.log, str(result)
    shutil.rmtree(many)
    assert site.run(Job()).state == "success"


def test_wrong_values(make_site) -> None:
    """There is no disk with infinite room."""
    site = make_site(disk_reserve="infinity")
    done = site.call("status")
    assert done.returncode != 0 and "disk_reserve" in done.stderr, str(done)
