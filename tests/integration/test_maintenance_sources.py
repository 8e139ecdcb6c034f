# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance by source: upgrades of suites, OCI images and tarballs by digest, and what playbooks do to each."""

import functools
import hashlib
import http.server
import os
import subprocess
import threading
from pathlib import Path
from typing import Callable, Iterator

import pytest

import ociimage
from lab import IMAGE, Lab, Site
from maintenance import Report, assert_settled, copy_of, define, generations, maintain, output
from simulation.jobspec import Job

CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: Tests <tests@example.org>
Description: for a test
"""

# One that a definition can name, and that no tree has before.
KEYRING = Path("/usr/share/keyrings/debian-archive-bookworm-stable.gpg")

# Stands in for mmdebstrap: the tree, with a repository of the test's own as the only one.
MMDEBSTRAP = """\
#!/bin/sh -e
for argument; do case $argument in /*) target=$argument;; esac; done
echo "$@" >>{log}
cp -a --reflink=auto {image}/. $target
rm -rf $target/etc/apt/sources.list* $target/etc/apt/apt.conf.d/*proxy* $target{keyring}
echo 'deb [trusted=yes] http://127.0.0.1:{port} ./' >$target/etc/apt/sources.list
"""


@pytest.fixture(name="xfs_images")
def fixture_xfs_images(lab: Lab, make_site: Callable[..., Site]) -> Iterator[Site]:
    """The same where copies cost nothing."""
    with lab.file_system("xfs", "suite", "2G") as where:
        yield make_site(root=where)


class Repository:
    """Packages by HTTP on loopback."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir()

        class Handler(http.server.SimpleHTTPRequestHandler):
            """Says nothing."""

            def log_message(self, *_: object) -> None:  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      functools.partial(Handler, directory=str(directory)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.server_port

    def add(self, name: str, version: str) -> None:
        """Makes a package with a configuration file, and has it in the list alone of its name."""
        tree = self.directory / f"tree-{name}"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "etc").mkdir(exist_ok=True)
        (tree / "DEBIAN/control").write_text(CONTROL.format(name=name, version=version))
        (tree / "DEBIAN/conffiles").write_text(f"/etc/{name}\n")
        (tree / "etc" / name).write_text(f"of version {version}\n")
        for old in self.directory.glob(f"{name}_*"):
            old.unlink()
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, self.directory / f"{name}_{version}.deb"],
                       check=True, capture_output=True)
        text = ""
        for file in sorted(self.directory.glob("*.deb")):
            data = file.read_bytes()
            control = subprocess.run(["dpkg-deb", "--field", file], check=True, capture_output=True, text=True).stdout
            text += (f"{control}Filename: ./{file.name}\nSize: {len(data)}\n"
                     f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n")
        (self.directory / "Packages").write_text(text)


@pytest.fixture(name="repository")
def fixture_repository(tmp_path: Path) -> Iterator[Repository]:
    """As long as the test."""
    made = Repository(tmp_path / "repository")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.host_matters
def test_suite(xfs_images: Site, lab: Lab, repository: Repository) -> None:
    """Made once, then upgraded in a copy: published if a package changed, with those that the definition names by now.
    Configuration files that were changed stay, and nobody is asked. What the archive cannot give leaves the image as it
    was; another mirror makes it anew, and what the definition says of the archive reaches the program that does."""
    site, log = xfs_images, xfs_images.directory / "log"
    programs = site.directory / "bin"
    programs.mkdir()
    (programs / "mmdebstrap").write_text(MMDEBSTRAP.format(log=log, image=lab.image(), port=repository.port,
                                                         keyring=KEYRING))
    (programs / "mmdebstrap").chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "no_proxy": "127.0.0.1"}
    repository.add("lab-one", "1")
    repository.add("lab-two", "1")

    def versions() -> str:
        return output(site, IMAGE, "dpkg-query -W -f '${Package} ${Version}\\n' 'lab-*'; "
                                   "cat /etc/lab-two; ls /var/lib/apt/lists")

    define(site, IMAGE, "chroot_suite: bookworm", "mirror: http://mirror.example/debian")
    report = maintain(site, env=env)
    assert report.results == {IMAGE: "created"}, report
    report = maintain(site, env=env)
    assert report.results == {IMAGE: "unchanged"} and "Upgrading its packages" in report.says(IMAGE), report

    define(site, IMAGE, "chroot_suite: bookworm", "mirror: http://mirror.example/debian",
           "packages: [lab-one, lab-two]", tasks="""\
           - raw: test -e /marker || { echo ours >/etc/lab-two; touch /marker; }
             changed_when: no
           """)
    report = maintain(site, env=env)
    assert report.results == {IMAGE: "updated"}, report
    assert versions() == "lab-one 1\nlab-two 1\nours\n"

    repository.add("lab-two", "2")
    report = maintain(site, env=env)
    assert report.results == {IMAGE: "updated"}, report
    assert versions() == "lab-one 1\nlab-two 2\nours\n"
    done = site.call("chroot-diff", IMAGE)
    assert "lab-two" in done.stdout and "lab-one" not in done.stdout, str(done)
    assert maintain(site, env=env).results == {IMAGE: "unchanged"}
    assert len(log.read_text().splitlines()) == 1 and generations(site)[IMAGE]["generation"] == 3

    (repository.directory / "Packages").write_text("")
    define(site, IMAGE, "chroot_suite: bookworm", "mirror: http://mirror.example/debian", "packages: [lab-none]")
    report = maintain(site, env=env)
    assert report.status == 1 and report.results == {IMAGE: "failed"}, report
    assert "Unable to locate package lab-none" in report.says(IMAGE), report
    assert "the upgrade of its packages ended with exit status 100" in report.says(IMAGE), report
    assert versions() == "lab-one 1\nlab-two 2\nours\n"

    define(site, IMAGE, "chroot_suite: bookworm", "mirror: http://other.example/debian", "variant: buildd",
           "components: [main, contrib]", f"keyring: {KEYRING}", "packages: [lab-one]")
    report = maintain(site, env=env)
    assert report.results == {IMAGE: "updated"}, report
    arguments = log.read_text().splitlines()[1]
    for words in ("--variant=buildd", "python3,lab-one", "--components=main,contrib", f"--keyring={KEYRING}",
                  f"deb [signed-by={KEYRING}] http://other.example/debian bookworm main contrib"):
        assert words in arguments, arguments
    assert (site.root / IMAGE / KEYRING.relative_to("/")).read_bytes() == KEYRING.read_bytes()
    assert "no packages found" in output(site, IMAGE, "dpkg-query -W 'lab-*' 2>&1 || true")
    assert_settled(site)


def test_helper(xfs_images: Site, images: Site, lab: Lab, repository: Repository) -> None:
    """The helper image needs no definition, is made of few packages, and is kept up to date with the others; one that
    somebody made is his."""
    site, log = xfs_images, xfs_images.directory / "log"
    programs = site.directory / "bin"
    programs.mkdir()
    (programs / "mmdebstrap").write_text(MMDEBSTRAP.format(log=log, image=lab.image(), port=repository.port,
                                                         keyring=KEYRING))
    (programs / "mmdebstrap").chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "no_proxy": "127.0.0.1"}
    done = site.call("chroot-create", "helper", "--suite", "bookworm", env=env)
    assert done.returncode == 0 and done.stderr.count("Making image 'helper'") == 1, str(done)
    assert "--include=git,git-lfs,ca-certificates " in log.read_text() and " bookworm " in log.read_text()
    repository.add("git-lfs", "1")
    report = maintain(site, env=env)
    assert report.results == {"helper": "updated"} and "Making image" not in report.done.stderr, report
    assert maintain(site, "helper", env=env).results == {"helper": "unchanged"}
    assert len(log.read_text().splitlines()) == 1 and generations(site)["helper"]["source"] == "suite bookworm"
    assert "git-lfs" in output(site, "helper", "dpkg-query -W git-lfs")
    subprocess.run(["cp", "-a", lab.tiny_image(), images.root / "helper"], check=True)
    assert maintain(images).rows == {}
    assert maintain(images, "helper").results == {"helper": "failed"}
    assert_settled(site)


def test_suite_without_mirror(images: Site, lab: Lab, repository: Repository) -> None:
    """A mirror that cannot be reached has no news; that is no success."""
    subprocess.run(["cp", "-a", "--reflink=auto", lab.image(), images.root / IMAGE], check=True)
    sources = images.root / IMAGE / "etc/apt"
    for file in [sources / "sources.list", *sources.glob("sources.list.d/*"), *sources.glob("apt.conf.d/*proxy*")]:
        file.unlink(missing_ok=True)
    (sources / "sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{repository.port} ./\n")
    repository.add("lab-one", "1")
    repository.server.shutdown()
    repository.server.server_close()
    define(images, IMAGE, "chroot_suite: bookworm")
    report = maintain(images, env={"no_proxy": "127.0.0.1"})
    assert report.status == 1 and report.results == {IMAGE: "failed"}, report
    assert "the upgrade of its packages ended with exit status 100" in report.says(IMAGE), report
    assert_settled(images)


@pytest.mark.host_matters
def test_oci(images: Site) -> None:
    """Fetched again only if the digest is another one; what its configuration says reaches jobs, also through `from`."""
    layout = images.directory / "layout"
    first = ociimage.busybox_layout(layout, Env=["COLOUR=blue"], WorkingDir="/dir")
    define(images, "busy", f"oci: oci:{layout}:image", "shell: /bin/sh")
    define(images, "child", "from: busy", "shell: /bin/sh", tasks="- raw: echo played >/played\n  changed_when: no\n")
    report = maintain(images)
    assert report.status == 0 and report.results == {"busy": "created", "child": "created"}, report
    assert f"Its digest is {first}" in report.says("busy") and "digest" not in report.says("child"), report
    rows = generations(images)
    assert (rows["busy"]["digest"], rows["busy"]["source"]) == (first, f"oci oci:{layout}:image"), rows
    assert rows["child"]["source"] == "from busy"
    report = maintain(images)
    assert report.results == {"busy": "unchanged", "child": "unchanged"}, report
    assert f"Its digest is {first}" in report.says("busy"), report
    script = "echo $COLOUR; ls /dir; test ! -e /played || cat /played"
    with images.started(Job(image="busy")) as build:
        assert build.run_script(script, raw=True).stdout == b"blue\nstays\n"
    with images.started(Job(image="child")) as build:
        assert build.run_script(script, raw=True).stdout == b"blue\nstays\nplayed\n"

    second = ociimage.busybox_layout(layout, lambda tar: tar.add("dir/third", b"3"), Env=["COLOUR=red"])
    assert first != second
    assert maintain(images).results == {"busy": "updated", "child": "updated"}
    assert generations(images)["busy"]["digest"] == second
    with images.started(Job(image="child")) as build:
        assert build.run_script(script, raw=True).stdout == b"red\nstays\nthird\nplayed\n"

    (layout / "index.json").write_text("{}")
    report = maintain(images)
    assert report.status == 1 and report.results == {"busy": "failed", "child": "failed"}, report
    assert generations(images)["busy"]["digest"] == second
    assert_settled(images)


def pack(tree: Path, file: Path) -> str:
    """An archive of a tree; returns its sha256."""
    subprocess.run(["tar", "-C", tree, "--numeric-owner", "-cf", file, "."], check=True)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.host_matters
def test_tarball(images: Site, lab: Lab, tmp_path: Path) -> None:
    """Unpacked again only if it is another one; with the wrong sha256, never."""
    file, tree = tmp_path / "tree.tar", tmp_path / "tree"
    subprocess.run(["cp", "-a", lab.tiny_image(), tree], check=True)
    digest = pack(tree, file)
    path = define(images, "one", f"tarball: {file}")
    assert maintain(images).results == {"one": "created"}
    assert generations(images)["one"]["digest"] == f"sha256:{digest}"
    os.utime(file)
    assert maintain(images).results == {"one": "unchanged"}

    (tree / "new").write_text("new\n")
    (tree / "of-others").mkdir()
    for name, owner, group in (("highest", 196607, 196607), ("user", 196608, 0), ("group", 0, 4294967294)):
        (tree / "of-others" / name).touch()
        os.chown(tree / "of-others" / name, owner, group)
    digest = pack(tree, file)
    define(images, "one", f"tarball: {file}", f'tarball_sha256: "{"0" * 64}"')
    report = maintain(images)
    assert report.status == 1 and digest in report.says("one") and not (images.root / "one/new").exists(), report
    define(images, "one", f"tarball: {file}", f'tarball_sha256: "{digest.upper()}"')
    report = maintain(images)
    assert report.status == 0 and report.results == {"one": "updated"}, report
    warning = report.says("one")
    assert "2 of its files belong" in warning and "(196608) is raised" in warning, report
    assert "'of-others/user' belongs to 196608:0" in warning or "'of-others/group' belongs to 0:4294967294" in warning, report
    assert output(images, "one", "cat /new") == "new\n"

    for data, words in ((None, "cannot be read"), (b"no archive", "stays as it was"), (file.read_bytes()[:50000], "tar")):
        file.unlink(missing_ok=True)
        if data:
            file.write_bytes(data)
        define(images, "one", f"tarball: {file}")
        report = maintain(images)
        assert report.status == 1 and words in report.says("one"), report
    assert output(images, "one", "cat /new") == "new\n"
    path.unlink()
    assert_settled(images)


def test_playbook(images: Site, lab: Lab) -> None:
    """Played at each maintenance in a copy that is published if a task changed something, and only if none failed."""
    counter = images.directory / "counter"
    counter.write_text("0\n")

    def play(tasks: str) -> str:
        define(images, "one", command=copy_of(lab.tiny_image(), "echo made >$ROOT/made"), tasks=tasks)
        report = maintain(images)
        assert report.status == (0 if report.results["one"] != "failed" else 1), report
        return report.results["one"]

    once = "- raw: test -e /marker || { echo changed >/marker; echo did; }\n  register: it\n" \
           "  changed_when: it.stdout != \"\"\n"
    assert play(once) == "created"
    assert play(once) == "unchanged"
    assert generations(images)["one"]["generation"] == 1
    assert play(once + "- raw: echo more >/more\n") == "updated"
    assert play(once + "- raw: rm /more\n- raw: echo the reason >&2; exit 1\n") == "failed"
    assert output(images, "one", "cat /more") == "more\n" and generations(images)["one"]["generation"] == 2
    assert_settled(images)


def test_playbook_needs(images: Site, lab: Lab) -> None:
    """An image without python and a playbook that needs it: a hint, and no image."""
    path = define(images, "one", command=copy_of(lab.tiny_image()))
    path.write_text(path.read_text().replace("gather_facts: no", "gather_facts: yes") + "  tasks: [{ping: }]\n")
    report = maintain(images)
    assert report.status == 1 and "has no python" in report.says("one"), report
    assert "gather_facts: no" in report.says("one") and not (images.root / "one").exists(), report
    assert_settled(images)


HALF_DONE = "- raw: touch /half; exit 1\n"
WHOLE = "- raw: test ! -e /half && touch /whole\n"
KEPT_FOR_NEXT = "is kept as it came: the next try begins with it"
FROM_KEPT = "Beginning with the tree that was kept of an earlier try"


def test_playbook_tried_again(images: Site, lab: Lab) -> None:
    """What was made before a playbook failed is there for the next try, without what the playbook did, as long as the
    definition would make the same; and gone when that has worked, or when nobody wants it any more."""
    log, kept = images.directory / "log", images.root / ".kept"
    log.touch()

    def play(tasks: str, *variables: str, number: int = 1) -> Report:
        command = copy_of(lab.tiny_image(), f"echo made >>{log}; echo {number} >$ROOT/number")
        define(images, "one", *variables, command=command, tasks=tasks)
        return maintain(images)

    def times_made() -> int:
        return len(log.read_text().splitlines())

    report = play(HALF_DONE)
    assert report.results == {"one": "failed"} and KEPT_FOR_NEXT in report.done.stderr, report
    assert (kept / "one/number").exists() and not (kept / "one/half").exists() and times_made() == 1, report
    report = play(HALF_DONE)
    assert FROM_KEPT in report.says("one") and KEPT_FOR_NEXT in report.done.stderr and times_made() == 1, report
    assert "one" not in images.call("chroot-list").stdout.split()
    report = play(WHOLE)
    assert report.results == {"one": "created"} and FROM_KEPT in report.says("one") and times_made() == 1, report
    assert output(images, "one", "cat /number; ls /whole") == "1\n/whole\n" and not kept.exists()
    report = play(WHOLE)
    assert FROM_KEPT not in report.says("one") and times_made() == 1, report

    report = play(WHOLE, 'test: "false"', number=2)
    assert report.results == {"one": "failed"} and KEPT_FOR_NEXT in report.done.stderr and times_made() == 2, report
    report = play(HALF_DONE, "maint_recreate: yes", number=2)
    assert FROM_KEPT not in report.says("one") and times_made() == 3, report
    assert KEPT_FOR_NEXT not in report.done.stderr, report
    report = play(HALF_DONE, number=3)
    assert FROM_KEPT not in report.says("one") and times_made() == 4, report
    assert (kept / "one/number").read_text() == "3\n"

    assert images.call("gc").returncode == 0 and (kept / "one").exists()
    define(images, "one", command=copy_of(lab.tiny_image()))
    assert "kept tree of image one" in images.call("gc", "--dry-run").stderr and (kept / "one").exists()
    assert images.call("gc").returncode == 0 and not kept.exists()
    assert output(images, "one", "cat /number") == "1\n"
    assert_settled(images)


@pytest.mark.parametrize("kind", ("tarball", "oci"))
def test_playbook_tried_again_by_digest(images: Site, lab: Lab, kind: str) -> None:
    """Of an archive and an OCI image, the source says whether it has the same; with what the image's configuration says."""
    def provide(text: bytes) -> str:
        if kind == "oci":
            ociimage.busybox_layout(images.directory / "layout", lambda tar: tar.add("text", text), Env=["COLOUR=blue"])
            return f"oci: oci:{images.directory}/layout:image"
        tree = images.directory / "tree"
        subprocess.run(["cp", "-a", "-T", lab.tiny_image(), tree], check=True)
        (tree / "text").write_bytes(text)
        pack(tree, images.directory / "tree.tar")
        return f"tarball: {images.directory}/tree.tar"

    source = provide(b"one\n")
    define(images, "one", source, "shell: /bin/sh", tasks=HALF_DONE)
    report = maintain(images)
    assert report.results == {"one": "failed"} and KEPT_FOR_NEXT in report.done.stderr, report
    define(images, "one", source, "shell: /bin/sh", tasks=WHOLE)
    report = maintain(images)
    assert report.results == {"one": "created"} and FROM_KEPT in report.says("one"), report
    with images.started(Job(image="one")) as build:
        shown = build.run_script("cat /text; ls /whole; echo $COLOUR", raw=True).stdout
    assert shown == (b"one\n/whole\nblue\n" if kind == "oci" else b"one\n/whole\n\n")
    assert not (images.root / ".kept").exists()

    provide(b"two\n")
    define(images, "one", source, "shell: /bin/sh", tasks=HALF_DONE)
    assert KEPT_FOR_NEXT in maintain(images).done.stderr
    provide(b"three\n")
    define(images, "one", source, "shell: /bin/sh", tasks=WHOLE)
    report = maintain(images)
    assert report.results == {"one": "updated"} and FROM_KEPT not in report.says("one"), report
    assert (images.root / "one/text").read_text() == "three\n" and not (images.root / ".kept").exists()
    assert_settled(images)


def test_playbook_is_checked_first(images: Site, lab: Lab) -> None:
    """Nothing is made for a playbook that ansible cannot read, or without ansible."""
    log, programs = images.directory / "log", images.directory / "bin"
    command = copy_of(lab.tiny_image(), f"echo made >>{log}")
    for tasks, words in (("- raw: 'true'\n  shell: 'true'\n", "conflicting action statements: raw, shell"),
                         ("- import_role: {name: nowhere}\n", "the role 'nowhere' was not found")):
        define(images, "one", command=command, tasks=tasks)
        report = maintain(images)
        assert report.results == {"one": "failed"} and not log.exists(), report
        assert "Its playbook cannot be used: " in report.says("one") and words in report.says("one"), report
    programs.mkdir()
    for name in ("cp", "sh"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    define(images, "one", command=command, tasks="- raw: 'true'\n")
    report = maintain(images, env={"PATH": str(programs)})
    assert "ansible-playbook is not installed" in report.says("one") and not log.exists(), report
    assert_settled(images)
