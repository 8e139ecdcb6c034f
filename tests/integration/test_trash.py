# SPDX-License-Identifier: GPL-3.0-or-later
"""cleanup puts a job's layer out of the way at once, and what is big is removed behind it. Whoever removes it may be killed:
the next one goes on."""

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import host
from lab import IMAGE, Lab, Site
from pace import wait_until
from simulation.build import Build
from simulation.jobspec import Job

# More than anybody can remove while `cleanup` tries itself.
MANY = "mkdir /root/d; cd /root/d; for i in $(seq 40); do mkdir -p $i/{1..150}; done"


def entries(site: Site) -> list[Path]:
    """What is in the trash of the site's image root."""
    trash = site.root / ".trash"
    return sorted(trash.iterdir()) if trash.is_dir() else []


def removers(site: Site) -> list[int]:
    """The processes that empty it."""
    return [pid for pid, command in host.processes().items() if f"empty-trash {site.root}" in command]


def ended(site: Site) -> Build:
    """A build whose cleanup comes next, and whose layer takes a while to remove."""
    build = Build(site.runner(), Job()).begin()
    build.run_script(MANY)
    return build


@contextmanager
def stuck(site: Site, layer: Path) -> Iterator[None]:
    """A layer that nobody can remove as long as the caller is in the context: something is mounted in it."""
    place = layer / "upper/stuck"
    name = layer.name
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    try:
        yield
    finally:
        for path in [place, *site.root.glob(f".trash/{name}.*/upper/stuck")]:
            subprocess.run(["umount", path], check=False, stderr=subprocess.DEVNULL)


def test_cleanup_does_not_wait(make_site, tiny_root: Path) -> None:
    """Nothing of the job is left when cleanup returns, and its pipes end, although its layer cannot be removed. Others do
    not trip over that: jobs run, and gc says what it could not remove, and removes it when it can."""
    site = make_site(root=tiny_root)
    build = Build(site.runner(), Job()).begin()
    (layer,) = (tiny_root / ".layers").iterdir()
    with stuck(site, layer):
        call = build.cleanup()
        assert call and call.returncode == 0, str(call)
        assert site.jobs() == [] and site.layers() == [] and site.job_pids() == []
        (left,) = entries(site)
        assert left.name.startswith(layer.name) and (tiny_root / ".trash").stat().st_mode & 0o777 == 0o700
        assert left.name in site.call("gc", "--dry-run").stderr
        assert site.run(Job()).state == "success"
        wait_until(lambda: not removers(site))
        done = site.call("gc")
        assert done.returncode != 0 and "Cannot remove all that ended jobs left" in done.stderr, str(done)
        assert entries(site) == [left]
    done = site.call("gc")
    assert done.returncode == 0 and left.name in done.stderr, str(done)
    assert entries(site) == [] and site.traces() == []


def test_prepare_goes_on(make_site, tiny_root: Path) -> None:
    """What a killed remover left goes with the next job's prepare."""
    site = make_site(root=tiny_root)
    left = tiny_root / ".trash" / f"{site.prefix}1-0badcafe.0123456789abcdef"
    (left / "upper/d").mkdir(parents=True)
    with site.started():
        wait_until(lambda: not entries(site))


def test_cleanup_goes_on(make_site, tiny_root: Path) -> None:
    """A cleanup that was killed when the layer was in the trash is called again: it empties the trash."""
    site = make_site(root=tiny_root)
    left = tiny_root / ".trash" / f"{site.prefix}1-0badcafe.0123456789abcdef"
    (left / "upper/directory").mkdir(parents=True)
    done = site.call("cleanup", "--id", "1-0badcafe")
    assert done.returncode == 0, str(done)
    wait_until(lambda: entries(site) == [])


def test_removed_behind(make_site, tiny_root: Path) -> None:
    """A big layer is gone after a while, also with two that end at the same time, and a remover that is killed: then gc, or
    the next cleanup, goes on."""
    site = make_site(root=tiny_root)
    for _ in range(2):
        builds = [ended(site), ended(site)]
        calls = [build.start("cleanup", build.runner.cleanup_exec) for build in builds]
        for call in calls:
            assert call.wait() and call.returncode == 0, str(call)
        assert site.jobs() == [] and site.layers() == [] and site.job_pids() == []
        for pid in removers(site):
            host.kill(pid)
        wait_until(lambda: not removers(site))
    assert site.call("gc").returncode == 0
    assert entries(site) == []


def test_remover_holds_nothing(make_site, tiny_root: Path) -> None:
    """It has no descriptor, directory or variable of the job's, and a session of its own: GitLab Runner's signals and
    pipes have nothing to do with it."""
    site = make_site(root=tiny_root)
    build = ended(site)
    call = build.cleanup()
    assert call and call.returncode == 0, str(call)
    for pid in removers(site):
        links = {os.path.realpath(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)}
        # It may end at any moment: then there is no link.
        assert links <= {"/dev/null", *(f"/proc/{pid}/fd/{number}" for number in (0, 1, 2))}, links
        environment = host.read(f"/proc/{pid}/environ")
        assert "CUSTOM_ENV" not in environment and "JOB_RESPONSE" not in environment
        session = host.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[3:4]
        assert session != [str(os.getsid(0))]
    wait_until(lambda: not removers(site) and not entries(site))


def test_subvolumes(make_site, lab: Lab) -> None:
    """On btrfs, the trash has subvolumes, with others that a job nested in them; df counts once what a layer shares with its
    image."""
    root = lab.root("btrfs") / "trash-images"
    root.mkdir()
    try:
        subprocess.run(["cp", "-a", lab.tiny_image(), root / IMAGE], check=True)
        site = make_site(root=root, storage="btrfs")
        left = root / ".trash" / f"{site.prefix}1-0badcafe.0123456789abcdef"
        left.mkdir(parents=True)
        for path in (left / "root", left / "root/one", left / "root/one/two"):
            subprocess.run(["btrfs", "-q", "subvolume", "create", path], check=True)
            (path / "file").touch()
        subprocess.run(["btrfs", "property", "set", left / "root/one/two", "ro", "true"], check=True)
        assert left.name in site.call("gc").stderr
        assert entries(site) == []
        listing = subprocess.run(["btrfs", "subvolume", "list", root], check=True, capture_output=True, text=True).stdout
        assert "trash-images" not in listing
        with site.started() as build:
            build.run_script("touch /root/file; head -c 3000000 /dev/urandom >/root/own")
            rows = {row["kind"]: row for row in json.loads(site.call("df", "--json").stdout)["usage"]}
            image, layer, total = (rows[kind] for kind in ("image", "jobs", "total"))
            assert layer["size"] > image["size"] and 3000000 <= layer["own"] < image["size"] / 2, rows
            assert image["own"] < image["size"] / 4 and total["size"] < image["size"] + 3000000 + image["size"] / 4, rows
        assert entries(site) == []
    finally:
        host.remove_tree(root)
