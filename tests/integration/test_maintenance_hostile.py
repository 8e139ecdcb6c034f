# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees that lead elsewhere: whatever a source, a playbook or a login put into an image, no command writes outside."""

import os
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Iterator

import pytest

import host
import ociimage
from lab import Lab, Site
from maintenance import assert_settled, copy_of, define, maintain, put_tiny
from simulation.jobspec import Job

# Where an image can have one: others are refused, see test_hostile_tree.py.
PLACES = ("root", "usr/lib", "var/lib/dpkg", "etc/resolv.conf", "etc/machine-id", "etc/hostname", "etc/passwd")
WRITE = "for d in /etc /usr/lib /var/lib/dpkg /root /tmp /run; do echo written >$d/by-job; done; echo x >/etc/passwd"


@pytest.fixture(name="outside")
def fixture_outside(tmp_path: Path) -> Iterator[Path]:
    """What the host has; as it was at the end of the test."""
    directory = tmp_path / "outside"
    for name in ("lib/dpkg", "by-link", "dpkg"):
        (directory / name).mkdir(parents=True)
    for name in ("resolv.conf", "machine-id", "passwd", "hostname", "lib/dpkg/status", "precious"):
        (directory / name).write_text("Package: outside\nVersion: 1\nStatus: install ok installed\n")
    before = host.fingerprint(directory, content=True)
    yield directory
    assert host.changes(before, host.fingerprint(directory, content=True)) == []


def use(site: Site, *names: str, script: str = WRITE, maintained: bool = True) -> None:
    """Every command that touches a tree, in a machine or not; whether it can is not asked. With @maintained also another
    maintenance, which plays playbooks again."""
    for generation in ("1", "2"):
        for name in names:
            site.call("chroot-run", name, "--", "/bin/sh", "-c", script)
            site.run(Job([script], image=name))
            site.call("chroot-diff", name, "--files")
        if generation == "1" and maintained:
            site.call("chroot-maintenance", "--jobs=2", *names)
        site.call("chroot-list")
        for name in names:
            site.call("chroot-rollback", name, generation)
    for name in names:
        site.call("chroot-remove", "--yes", name)
    site.call("gc")


def name_of(what: str) -> str:
    """An image's name that says what is bad about it."""
    return "bad-" + what.replace("/", "-").replace(" ", "-")


def leading(tree: Path, place: str, target: str) -> str:
    """A command that makes a tree of @tree in which @place is a symlink."""
    return copy_of(tree, f'mkdir -p "$ROOT/{os.path.dirname(place)}"; rm -rf "$ROOT/{place}"\n'
                         f'ln -s "{target}" "$ROOT/{place}"')


@pytest.mark.parametrize("kind", ("absolute", "relative"))
def test_made_by_command(images: Site, lab: Lab, outside: Path, kind: str) -> None:
    """A symlink where a command of ours, the machine or a playbook would look for a directory or a file."""
    for place in PLACES:
        # A playbook costs more than all the rest.
        tasks = f"- raw: {WRITE}\n" if "/" not in place and kind == "absolute" or place in ("dev", "run") else ""
        target = outside / place.rpartition("/")[2] if "/" in place else outside
        text = str(target) if kind == "absolute" else "../" * 20 + str(target)[1:]
        define(images, name_of(place), f'test: "{WRITE}"', command=leading(lab.tiny_image(), place, text), tasks=tasks)
    define(images, "good", command=copy_of(lab.tiny_image()))
    report = maintain(images, "--jobs=2")
    assert report.results["good"] == "created", report
    assert report.results.keys() == {"good", *map(name_of, PLACES)}, report
    use(images, *map(name_of, PLACES))
    assert_settled(images)


def test_slash(images: Site, lab: Lab) -> None:
    """Directories that are the root: the host's own are not written to."""
    files = ("by-job", "passwd", "hosts", "hostname", "resolv.conf", "machine-id", "os-release", "status")
    places = [Path("/", top, name) for top in ("", "etc", "root", "lib", "lib/dpkg", "var", "var/lib/dpkg", "run", "tmp")
              for file in files for name in (file, f".{file}.new")]
    before = {path: path.read_bytes() if path.is_file() else path.exists() for path in places}
    tops = ("etc", "var", "root", "run")
    for place in tops:
        define(images, name_of(place), 'test: "true"', command=leading(lab.tiny_image(), place, "/"),
               tasks=f"- raw: {WRITE}\n")
    assert maintain(images).results.keys() == set(map(name_of, tops))
    use(images, *map(name_of, tops))
    after = {path: path.read_bytes() if path.is_file() else path.exists() for path in places}
    assert [str(path) for path in places if before[path] != after[path]] == []
    assert_settled(images)


def test_made_by_playbook(images: Site, outside: Path) -> None:
    """Turned into symlinks by tasks, so while the machine runs and before the tree is published."""
    targets = {"outside": str(outside), "itself": "/{0}", "a file": "/usr/bin/bash"}
    places, tiny = ("etc/resolv.conf", "etc/machine-id", "var/lib", "root"), put_tiny(images)
    for target, text in targets.items():
        links = "; ".join(f"mkdir -p /{os.path.dirname(place)}; rm -rf /{place}; ln -s {text.format(place)} /{place}"
                          for place in places)
        define(images, name_of(target), tiny, tasks=f"- raw: {links}\n")
        define(images, f"child-{name_of(target)}", f"from: {name_of(target)}", tasks=f"- raw: {WRITE}\n")
    report = maintain(images, "--jobs=2")
    for target, text in targets.items():
        assert report.results[name_of(target)] == "created", report
        assert os.readlink(images.root / name_of(target) / "root") == text.format("root")
    # The children's playbooks are those that find the links.
    use(images, *(f"child-{name_of(target)}" for target in targets), *map(name_of, targets), maintained=False)
    assert_settled(images)


def hostile_members(outside: Path) -> dict[str, tuple[str, ociimage.Tar]]:
    """What archives can try, each in a way of its own, with what is expected of it. tar makes symlinks last, in the
    place of empty files: one that a directory took the place of is an error to it or not, depending on the inode number
    and the time that the directory happened to get."""
    absolute, up = str(outside), "../" * 20 + str(outside)[1:]
    tar = ociimage.Tar
    return {
        "by dots": ("failed", tar().add(f"{up}/evil", b"x")),
        "absolute": ("created", tar().add(f"{absolute}/evil", b"x")),
        "through symlink": ("failed", tar().symlink("out", absolute).add("out/evil", b"x")),
        "through relative symlink": ("failed", tar().symlink("out", up).add("out/evil", b"x")),
        "over symlink": ("created", tar().symlink("out", f"{absolute}/precious").add("out", b"x", mode=0o4777)),
        "directory over symlink": ("failed or created", tar().symlink("out", absolute).directory("out", mode=0o777)),
        "link out": ("failed", tar().hardlink("mine", f"{absolute}/precious").add("mine", b"x")),
        "etc leads out": ("failed", tar().symlink("etc", absolute)),
        "var leads out": ("failed", tar().symlink("var", absolute)),
        "tmp leads out": ("failed", tar().symlink("tmp", absolute)),
    }


def unpackable(lab: Lab) -> ociimage.Tar:
    """The tiny image, without what archives here bring themselves."""
    tar = ociimage.Tar()
    for path in sorted(lab.tiny_image().rglob("*")):
        name = str(path.relative_to(lab.tiny_image()))
        if name.split("/")[0] not in ("etc", "var", "tmp"):
            tar.copy(path, name)
    return tar


def test_tarball(images: Site, lab: Lab, outside: Path) -> None:
    """Members that lead out of the tree, by name and by links; what could be unpacked is used in all ways."""
    members, whole = hostile_members(outside), unpackable(lab).bytes()
    for what, (_, tar) in members.items():
        path, more = images.directory / f"{name_of(what)}.tar", images.directory / "more.tar"
        path.write_bytes(whole)
        for part in (tar, *([] if what.startswith("etc") else [ociimage.Tar().directory("etc")])):
            more.write_bytes(part.bytes())
            subprocess.run(["tar", "--concatenate", "-Pf", path, more], check=True)
        # A playbook costs more than all the rest: only where there is a link for it to write through.
        tasks = f"- raw: {WRITE}; true\n" if what in ("over symlink", "directory over symlink") else ""
        define(images, name_of(what), f"tarball: {path}", "shell: /bin/sh", tasks=tasks)
    report = maintain(images, "--jobs=2")
    assert report.results.keys() == set(map(name_of, members)), report
    for what, (expected, _) in members.items():
        assert report.results[name_of(what)] in expected.split(" or "), (what, str(report))
    out = images.root / name_of("directory over symlink") / "out"
    if report.results[name_of("directory over symlink")] == "created":
        assert stat.S_IMODE(os.lstat(out).st_mode) == 0o777, report
        assert out.is_dir() and not out.is_symlink()
    use(images, *map(name_of, members))
    assert_settled(images)


def test_oci(images: Site, outside: Path) -> None:
    """The same in a layer over busybox."""
    members = hostile_members(outside)
    for what, (_, tar) in members.items():
        layout = images.directory / name_of(what)
        ociimage.write_layout(layout, [ociimage.busybox_tar().bytes(), tar.bytes()])
        define(images, name_of(what), f"oci: oci:{layout}:image", "shell: /bin/sh")
    report = maintain(images, "--jobs=2")
    assert set(report.results) == set(map(name_of, members)), report
    use(images, *map(name_of, members))
    assert_settled(images)


def test_whiteouts(images: Site, outside: Path) -> None:
    """Of what a symlink of an earlier layer leads to."""
    links = ociimage.Tar().symlink("out", str(outside)).symlink("lower", str(outside))
    tar = ociimage.Tar().add("lower/.wh.precious").add("lower/.wh..wh..opq").add("lower/lib/.wh.dpkg")
    layers = [ociimage.busybox_tar().bytes(), links.bytes(), tar.bytes()]
    ociimage.write_layout(images.directory / "layout", layers)
    define(images, "bad", f"oci: oci:{images.directory}/layout:image", "shell: /bin/sh")
    report = maintain(images)
    assert set(report.results) == {"bad"}, report
    use(images, "bad")
    assert_settled(images)


@pytest.fixture(name="disk")
def fixture_disk(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A disk of the host's, with something on it that stays as it is: its device number."""
    file = tmp_path / "disk"
    file.write_bytes(b"unharmed" * 65536)
    device = Path(subprocess.run(["losetup", "--find", "--show", file], capture_output=True, text=True,
                                 check=True).stdout.strip())
    try:
        number = os.stat(device).st_rdev
        yield os.major(number), os.minor(number)
        subprocess.run(["sync", device], check=True)
        assert device.read_bytes() == b"unharmed" * 65536
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert file.read_bytes() == b"unharmed" * 65536


# Files that are written in a fresh tree, in that of a machine's, or read from one; as they are called at first.
TRAPS = (".hosts.new", ".resolv.conf.new", ".machine-id.new", ".hostname.new", "resolv.conf", "machine-id", "hostname",
         "os-release", "passwd")


@pytest.mark.parametrize("how", ("tarball", "oci", "playbook"))
def test_trap(images: Site, disk: tuple[int, int], how: str) -> None:
    """Nodes of a disk of the host's, or pipes that nobody serves, where files of ours are to be: nothing is written to
    the one, and nothing waits for the other."""
    tiny = put_tiny(images) if how == "playbook" else ""
    for kind in ("disk", "fifo"):
        tar = ociimage.busybox_tar()
        node = dict(kind=tarfile.BLKTYPE, device=disk) if kind == "disk" else dict(kind=tarfile.FIFOTYPE)
        for name in (*(f"etc/{name}" for name in TRAPS), "var/lib/dpkg/status", "lib/apk/db/installed"):
            tar.add(name, **node)
        if how == "playbook":
            make = f"mknod $f b {disk[0]} {disk[1]}" if kind == "disk" else "mkfifo $f"
            define(images, kind, "private_users: no", tiny, tasks=f"""\
                - raw: cd /etc; for f in {" ".join(TRAPS)}; do rm -f $f; {make} || true; done
                """)
        elif how == "oci":
            layout = images.directory / f"layout-{kind}"
            ociimage.write_layout(layout, [tar.bytes()])
            define(images, kind, f"oci: oci:{layout}:image", "shell: /bin/sh")
        else:
            archive = images.directory / f"{kind}.tar"
            archive.write_bytes(tar.bytes())
            define(images, kind, f"tarball: {archive}", "shell: /bin/sh")
    report = maintain(images, "--jobs=2")
    assert report.results == {"disk": "created", "fifo": "created"}, report
    use(images, "disk", "fifo", script="echo x >/etc/new; ls /etc")
    assert_settled(images)


@pytest.mark.host_matters
def test_devices(images: Site, lab: Lab) -> None:
    """Device nodes and pipes where files are expected: jobs cannot open the one, and nobody waits for the other."""
    command = copy_of(lab.tiny_image(), 'mknod "$ROOT/disk" b 7 250; mknod "$ROOT/etc/resolv.conf" c 1 5 || true\n'
                                        'mkfifo "$ROOT/etc/hostname"; rm -f "$ROOT/etc/machine-id"\n'
                                        'mkfifo "$ROOT/etc/machine-id"')
    define(images, "bad", command=command)
    report = maintain(images)
    assert report.results == {"bad": "created"}, report
    done = images.call("chroot-run", "bad", "--", "/bin/sh", "-c", "cat /disk")
    assert done.returncode == 1 and "/disk: " in done.stderr, str(done)
    use(images, "bad")
    assert_settled(images)
