# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees that lead elsewhere: whatever a source, a playbook or a login put into an image, no command writes outside."""

import os
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
import ociimage
from jobspec import Job
from lab import Lab, Site
from maintenance import assert_settled, copy_of, define, maintain

PLACES = ("etc", "usr", "var", "root", "tmp", "run", "dev", "usr/lib", "var/lib/dpkg", "etc/resolv.conf",
          "etc/machine-id", "etc/hostname", "etc/passwd")
WRITE = "for d in /etc /usr/lib /var/lib/dpkg /root /tmp /run; do echo written >$d/by-job; done; echo x >/etc/passwd"


@pytest.fixture(name="images")
def fixture_images(make_site: Callable[..., Site], tmp_path: Path) -> Iterator[Site]:
    """A site without any image."""
    root = tmp_path / "images"
    root.mkdir()
    yield make_site(root=root)
    host.remove_tree(root)


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


def use(site: Site, name: str) -> None:
    """Every command that touches a tree, in a machine or not; whether it can is not asked."""
    for text in ("1", "2"):
        site.call("chroot-run", name, "--", "/bin/sh", "-c", WRITE)
        site.run(Job([WRITE], image=name))
        site.call("chroot-diff", name, "--files")
        site.call("chroot-list")
        site.call("chroot-maintenance", name)
        site.call("chroot-rollback", name, text)
    site.call("chroot-remove", name)
    site.call("gc")


def leading(tree: Path, place: str, target: str) -> str:
    """A command that makes a tree of @tree in which @place is a symlink."""
    return copy_of(tree, f'mkdir -p "$ROOT/{os.path.dirname(place)}"; rm -rf "$ROOT/{place}"\n'
                         f'ln -s "{target}" "$ROOT/{place}"')


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ("absolute", "relative"))
def test_made_by_command(images: Site, lab: Lab, outside: Path, place: str, kind: str) -> None:
    """A symlink where a command of ours, the machine or a playbook would look for a directory or a file."""
    target = outside / place.rpartition("/")[2] if "/" in place else outside
    text = str(target) if kind == "absolute" else "../" * 20 + str(target)[1:]
    define(images, "bad", f'test: "{WRITE}"', command=leading(lab.tiny_image(), place, text),
           tasks=f"- raw: {WRITE}\n")
    define(images, "good", command=copy_of(lab.tiny_image()))
    report = maintain(images)
    assert report.results["good"] == "created", report
    use(images, "bad")
    assert_settled(images)


def test_slash(images: Site, lab: Lab) -> None:
    """Directories that are the root: the host's own are not written to."""
    before, names = host.fingerprint("/etc"), sorted(os.listdir("/"))
    for place in ("etc", "var", "root", "run"):
        define(images, "bad", 'test: "true"', command=leading(lab.tiny_image(), place, "/"),
               tasks=f"- raw: {WRITE}\n")
        maintain(images)
        use(images, "bad")
    assert host.changes(before, host.fingerprint("/etc")) == []
    assert sorted(os.listdir("/")) == names
    assert_settled(images)


@pytest.mark.parametrize("target", ("outside", "itself", "a file"))
def test_made_by_playbook(images: Site, lab: Lab, outside: Path, target: str) -> None:
    """Turned into symlinks by tasks, so while the machine runs and before the tree is published."""
    def text(place: str) -> str:
        return {"outside": str(outside), "itself": f"/{place}", "a file": "/usr/bin/bash"}[target]

    tasks = "".join(f"- raw: mkdir -p /{os.path.dirname(place)}; rm -rf /{place}; ln -s {text(place)} /{place}\n"
                    for place in ("etc/resolv.conf", "etc/machine-id", "var", "root", "etc"))
    define(images, "bad", command=copy_of(lab.tiny_image()), tasks=tasks)
    report = maintain(images)
    assert report.results == {"bad": "created"}, report
    assert os.readlink(images.root / "bad/etc") == text("etc")
    define(images, "child", "from: bad", tasks=f"- raw: {WRITE}\n")
    maintain(images)
    for name in ("child", "bad"):
        use(images, name)
    assert_settled(images)


def hostile_tar(outside: Path) -> ociimage.Tar:
    """Everything that an archive can try."""
    tar = ociimage.Tar().directory("etc", "bin", "tmp")
    tar.symlink("out", str(outside)).add("out/through-symlink", b"x")
    tar.symlink("up", "../" * 20 + str(outside)[1:]).add("up/through-relative", b"x")
    tar.add("../" * 20 + str(outside)[1:] + "/by-dots", b"x").add(f"{outside}/absolute", b"x")
    tar.hardlink("linked", str(outside / "precious")).add("linked", b"x")
    tar.symlink("file", str(outside / "precious")).add("file", b"x", mode=0o4777)
    return tar.symlink("dir", str(outside)).directory("dir", mode=0o777)


def test_tarball(images: Site, outside: Path) -> None:
    """Members that lead out of the tree, by name and by links."""
    path = images.directory / "hostile.tar"
    path.write_bytes(hostile_tar(outside).bytes())
    define(images, "bad", f"tarball: {path}", "shell: /bin/sh", tasks=f"- raw: {WRITE}\n")
    report = maintain(images)
    assert set(report.results) == {"bad"}, report
    use(images, "bad")
    assert_settled(images)


@pytest.mark.parametrize("where", ("one layer", "two layers"))
def test_oci(images: Site, outside: Path, where: str) -> None:
    """The same, and whiteouts of what a symlink of an earlier layer leads to."""
    layers = [ociimage.busybox_tar().bytes()]
    tar = hostile_tar(outside)
    if where == "two layers":
        links = ociimage.Tar().symlink("out", str(outside)).symlink("lower", str(outside))
        layers.append(links.bytes())
        tar.add("lower/.wh.precious").add("lower/.wh..wh..opq").add("lower/lib/.wh.dpkg")
    ociimage.write_layout(images.directory / "layout", [*layers, tar.bytes()])
    define(images, "bad", f"oci: oci:{images.directory}/layout:image", "shell: /bin/sh")
    report = maintain(images)
    assert set(report.results) == {"bad"}, report
    use(images, "bad")
    assert_settled(images)


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
