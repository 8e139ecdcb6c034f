# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room there is in use, and how it is made free: df, prune, and removing single generations."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import host
from lab import IMAGE, Lab, Site
from maintenance import running
from pace import PATIENCE
from simulation.jobspec import Job
from terminal import Terminal


def change(site: Site, script: str) -> None:
    """Publishes a next generation."""
    subprocess.run(site.argv("chroot-login", IMAGE, "--publish"), input=script, text=True, capture_output=True, check=True)


def usage(site: Site) -> dict[tuple[str, str | None], tuple[int, int]]:
    """Size and own size by kind and name."""
    result = site.call("df", "--json")
    assert result.returncode == 0, result
    return {(row["kind"], row["name"]): (row["size"], row["own"]) for row in json.loads(result.stdout)["usage"]}


def removable(site: Site) -> list[tuple[str, str]]:
    """What prune would remove."""
    result = site.call("prune", "--dry-run", "--json")
    assert result.returncode == 0, result
    return [(row["kind"], row["name"]) for row in json.loads(result.stdout)["removable"]]


def collectable(site: Site) -> list[str]:
    """What gc would remove, but for user ID locks: those are the whole host's, and other tests leave some."""
    result = site.call("gc", "--dry-run", "--json")
    assert result.returncode == 0, result
    return [row["name"] for row in json.loads(result.stdout)["removable"] if row["kind"] != "user ID locks:"]


def test_shared_data_counts_once(make_site, lab: Lab) -> None:
    """A generation on XFS shares what did not change; hard links are one file."""
    with lab.file_system("xfs", "room", "400M") as path:
        root = path / "root"
        root.mkdir()
        shutil.copytree(lab.tiny_image(), root / IMAGE, symlinks=True)
        site = make_site(root=root, shell="/bin/sh")
        change(site, "head -c 5000000 /dev/urandom > /large; ln /large /same")
        rows = usage(site)
        total = rows["total", None][0]
        image, old = rows["image", IMAGE], rows["generation", f"{IMAGE}@1"]
        assert image[0] > old[0] + 4900000 and image[0] < old[0] + 9000000, rows
        assert image[1] > 4900000 and old[1] < old[0] / 4, "what both have is nobody's own"
        assert image[0] <= total < image[0] + old[0] / 2, rows
        text = site.call("df")
        assert text.returncode == 0 and all(len(line) <= 80 for line in text.stdout.splitlines()), text
        for entry in path.iterdir():
            host.remove_tree(entry)


def test_all_is_counted(make_site, tiny_root: Path) -> None:
    """Old generations, half-made images and logs count wherever there are images, also if their image is gone."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    change(site, "echo 2 > /text")
    before = usage(site)["total", None][0]
    cached, large = "registry.example.com%group%x:1", b"x" * (1 << 20)
    for root, name in ((tiny_root / ".oci", cached), (tiny_root / ".kept", "other"), (tiny_root, "gone")):
        shutil.copytree(tiny_root / ".generations" / IMAGE, root / ".generations" / name, symlinks=True)
        (root / ".generations" / name / "1/large").write_bytes(large)
        (root / ".staging" / name / "root").mkdir(parents=True)
        (root / ".staging" / name / "root/large").write_bytes(large)
        if root != tiny_root:
            shutil.copytree(tiny_root / IMAGE, root / name, symlinks=True)
    (tiny_root / ".logs").mkdir(exist_ok=True)
    (tiny_root / ".logs/other").write_bytes(large)
    os.sync()  # some file systems take no room before
    rows = usage(site)
    shown = "registry.example.com/group/x:1"
    for row in (("generation", f"{shown}@1"), ("generation", "other@1"), ("generation", "gone@1"),
                ("logs", f"({len(os.listdir(tiny_root / '.logs'))})")):
        assert rows[row][0] >= len(large), (row, rows)
    assert rows["being made", "(3)"][0] >= 3 * len(large), rows
    assert {("registry image", shown), ("kept trees", "(1)"), ("image", IMAGE)} <= set(rows), rows
    assert rows["total", None][0] >= before + 7 * len(large), (before, rows)
    text = site.call("metrics", "--measure").stdout
    measured = {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if "_disk_" in line and line[0] != "#"}
    assert measured['nspawn_runner_disk_bytes{kind="logs"}'] >= len(large), measured
    assert measured['nspawn_runner_disk_bytes{kind="being_made"}'] == rows["being made", "(3)"][0], (measured, rows)
    assert measured["nspawn_runner_disk_all_bytes"] == rows["total", None][0], (measured, rows)
    for name in (".oci", ".kept", ".staging", ".logs", ".generations/gone"):
        host.remove_tree(tiny_root / name)


def failing(site: Site, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Calls a command on a disk that cannot read that directory."""
    return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(directory), "-e", "trace=getdents64", "-e",
                           "inject=getdents64:error=EIO", *site.argv(*arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not in PATH")
def test_unreadable_things(make_site, tiny_root: Path) -> None:
    """What cannot be read is named, and the rest is measured."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    change(site, "echo 2 > /text")
    shutil.copytree(tiny_root / IMAGE, tiny_root / "other", symlinks=True)
    for name in ("good", "bad"):
        (tiny_root / ".trash" / name / "root").mkdir(parents=True)
    whole = set(usage(site))
    assert {("image", IMAGE), ("image", "other"), ("generation", f"{IMAGE}@1"), ("trash", "(2)")} <= whole
    for directory, without, instead in ((tiny_root / IMAGE / "usr", {("image", IMAGE)}, set()),
                                        (tiny_root / ".generations" / IMAGE / "1", {("generation", f"{IMAGE}@1")}, set()),
                                        (tiny_root / ".generations" / IMAGE, {("generation", f"{IMAGE}@1")}, set()),
                                        (tiny_root / ".trash", {("trash", "(2)")}, set()),
                                        (tiny_root / ".trash/bad", {("trash", "(2)")}, {("trash", "(1)")})):
        done = failing(site, directory, "df", "--json")
        rows = {(row["kind"], row["name"]) for row in json.loads(done.stdout)["usage"]}
        assert done.returncode == 1 and rows == whole - without | instead, (directory, done)
        assert "Left out" in done.stderr and str(tiny_root) in done.stderr, (directory, done)
        done = failing(site, directory, "metrics", "--measure")
        assert done.returncode == 0 and "_file_system_free_bytes " in done.stdout and done.stdout.endswith("# EOF\n"), done
        assert 'disk_bytes{kind="caches"} ' in done.stdout and "_disk_all_bytes " not in done.stdout, done
        ((kind, _),) = without
        assert f'disk_bytes{{kind="{dict(image="images", generation="generations").get(kind, kind)}"}} ' not in done.stdout
    (tiny_root / ".pushed").write_text("no directory\n")
    done = site.call("df")
    assert done.returncode == 1 and f"{tiny_root}/.pushed: Not a directory" in done.stderr and "total" in done.stdout, done
    assert site.call("metrics").stderr == ""
    # What was written down before.
    of_image = f'image_generations{{image="{IMAGE}"}}'
    for directory, name in ((tiny_root, of_image), (tiny_root / ".generations" / IMAGE, of_image),
                            (tiny_root / ".caches", 'disk_bytes{kind="caches"}')):
        directory.mkdir(exist_ok=True)
        assert f"nspawn_runner_{name} " in site.call("metrics").stdout
        done = failing(site, directory, "metrics")
        assert done.returncode == 0 and done.stdout.endswith("# EOF\n") and "Left out" in done.stderr, (directory, done)
        assert f"nspawn_runner_{name} " not in done.stdout, (directory, done)
        assert "nspawn_runner_file_system_free_bytes " in done.stdout, (directory, done)
    host.remove_tree(tiny_root / ".layers")
    (tiny_root / ".layers").write_text("no directory\n")
    done = site.call("metrics")
    assert done.returncode == 0 and "containers" in done.stderr and "nspawn_runner_containers{" not in done.stdout, done
    assert f"nspawn_runner_{of_image} " in done.stdout, done
    (tiny_root / ".layers").unlink()


def test_unreadable_sums(make_site, tiny_root: Path, tmp_path: Path) -> None:
    """Where the sums of ended jobs cannot be read, the rest is told."""
    site = make_site(root=tiny_root, shell="/bin/sh", metrics_file=str(tmp_path / "jobs.prom"))
    assert "nspawn_runner_prepare_seconds_count " in site.call("metrics").stdout
    (tmp_path / "jobs.prom").mkdir()
    done = site.call("metrics")
    assert done.returncode == 0 and f"'{tmp_path}/jobs.prom': Is a directory" in done.stderr, done
    assert "nspawn_runner_file_system_free_bytes " in done.stdout and done.stdout.endswith("# EOF\n"), done
    assert "nspawn_runner_prepare_seconds_count " not in done.stdout, done


def test_failures_have_reasons(make_site, tiny_root: Path) -> None:
    """Why the trash cannot be emptied is said as it is, also after all else has been moved there."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    (tiny_root / ".trash").write_text("no directory\n")
    for command in (("prune", "--yes"), ("gc",)):
        done = site.call(*command)
        assert done.returncode == 1 and "Not a directory" in done.stderr and "busy" not in done.stderr, (command, done)
    (tiny_root / ".trash").unlink()


def test_prune(make_site, tiny_root: Path) -> None:
    """What can go goes; what is used or kept stays; first it is said, with sizes."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    change(site, "echo 2 > /text")
    change(site, "echo 3 > /text")
    left = [(tiny_root / ".staging" / "half", "half-made image", "half"),
            (tiny_root / ".trash" / "gone.abc", "rest of a job", "gone.abc"),
            (tiny_root / ".pushed" / IMAGE, "pushed image", IMAGE)]
    with site.started(Job(image=f"{IMAGE}@2")) as build:
        for path, _, _ in left:
            (path / "root").mkdir(parents=True)
            (path / "root" / "file").write_bytes(b"x" * 100000)
        cached = tiny_root / ".oci" / "registry.example%a:1"
        shutil.copytree(tiny_root / IMAGE, cached, symlinks=True)
        expected = [(kind, name) for _, kind, name in left] + [("image of a registry", "registry.example/a:1")]
        assert sorted(removable(site)) == sorted(expected)
        rows = json.loads(site.call("gc", "--dry-run", "--json").stdout)["removable"]
        assert [row["name"] for row in rows if row["kind"] == "half-made image"] == ["half"]
        assert site.call("prune").returncode == 2, "without a terminal it asks nobody, and removes nothing"
        assert sorted(removable(site)) == sorted(expected)
        with Terminal(site.argv("prune")) as terminal:
            terminal.expect("registry.example/a:1")
            terminal.expect("Remove all of this (")
            terminal.type("n\n")
            assert terminal.wait() == 0
        assert sorted(removable(site)) == sorted(expected)
        result = site.call("prune", "--yes")
        assert result.returncode == 0 and "Removed 4 things" in result.stderr, result
        assert not any(path.exists() for path, _, _ in left) and not cached.exists()
        assert build.run_script("cat /text", raw=True).stdout == b"2\n"
        # in use
        result = site.call("chroot-remove", "--yes", f"{IMAGE}@2")
        assert result.returncode == 1 and f"A job uses '{IMAGE}@2'" in result.stderr, result
        assert build.run_script("cat /text", raw=True).stdout == b"2\n"
    assert [kind for kind, _ in removable(site)] == ["cache"], "of the job that has ended"
    assert site.call("prune", "--yes").returncode == 0
    assert removable(site) == [] and site.call("prune", "--dry-run").stderr == "Nothing to remove\n"
    # one generation, although it is to be kept
    result = site.call("chroot-remove", "--yes", f"{IMAGE}@3")
    assert result.returncode == 1 and "is the current generation" in result.stderr, result
    result = site.call("chroot-remove", "--yes", f"{IMAGE}@7")
    assert result.returncode == 1 and "it has 2, 3 (current)" in result.stderr, result
    assert site.call("chroot-remove", "--yes", f"{IMAGE}@2").returncode == 0
    assert {row["name"] for row in json.loads(site.call("chroot-list", "--json").stdout)["images"]} == {IMAGE}
    change(site, "echo 4 > /text")
    names = {row["name"] for row in json.loads(site.call("chroot-list", "--json").stdout)["images"]}
    assert names == {IMAGE, f"{IMAGE}@3"}


def test_prune_leftovers(make_site, tiny_root: Path) -> None:
    """What gc removes goes, too, if it is all that there is: in each directory of images."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    expected = []
    for directory, name, shown in ((".oci", "registry.example%a:1", "registry.example/a:1"), (".kept", "image", "image")):
        for place in (".staging", ".generations"):
            tree = tiny_root / directory / place / name / ("root" if place == ".staging" else "1")
            shutil.copytree(tiny_root / IMAGE, tree, symlinks=True)
        os.setxattr(tree, "trusted.nspawn-runner.generation", b"1")
        expected += [("half-made image", shown), ("old generation", f"{shown}@1")]
    assert sorted(removable(site)) == sorted(expected)
    assert len(collectable(site)) == len(expected), collectable(site)
    rows = json.loads(site.call("prune", "--dry-run", "--json").stdout)["removable"]
    assert all(int(row["size"]) > 0 for row in rows), rows
    result = site.call("prune", "--yes")
    assert result.returncode == 0 and "Removed 4 things" in result.stderr, result
    assert collectable(site) == []


def test_prune_goes_on(make_site, tiny_root: Path) -> None:
    """What cannot be listed does not keep the rest from going; the exit status says that there was something."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    (tiny_root / ".staging").write_text("no directory\n")
    result = site.call("prune", "--dry-run")
    assert result.returncode == 1 and "Nothing to remove" not in result.stderr, result
    left = tiny_root / ".trash" / "gone.abc"
    left.mkdir(parents=True)
    result = site.call("prune", "--dry-run")
    assert result.returncode == 1 and "'half-made image'" in result.stderr and "free" in result.stderr, result
    for answer, stays in (("n", True), ("y", False)):
        with Terminal(site.argv("prune")) as terminal:
            terminal.expect("'half-made image'")
            terminal.expect("Remove all of this (")
            terminal.type(f"{answer}\n")
            assert terminal.wait() == 1, terminal.seen
        assert left.exists() == stays
    (tiny_root / ".staging").unlink()
    assert site.call("prune", "--dry-run").returncode == 0


def generations(site: Site) -> dict[str, int]:
    """Numbers by name."""
    return {row["name"]: row["generation"] for row in json.loads(site.call("chroot-list", "--json").stdout)["images"]}


def test_copy_and_rename(make_site, tiny_root: Path) -> None:
    """Both keep what is known of an image; jobs do not notice; a crash in between is put right."""
    site = make_site(root=tiny_root, shell="/bin/sh")
    change(site, "echo 2 > /text")
    with site.started(Job(image=f"{IMAGE}")) as build:
        result = site.call("chroot-copy", f"{IMAGE}@1", "copy")
        assert result.returncode == 0 and not (tiny_root / "copy" / "text").exists(), result
        for command in ("chroot-copy", "chroot-rename"):
            result = site.call(command, IMAGE, "copy")
            assert result.returncode == 1 and "copy" in result.stderr and "already" in result.stderr, result
        result = site.call("chroot-rename", IMAGE, "new")
        assert result.returncode == 0, result
        assert build.run_script("cat /text", raw=True).stdout == b"2\n"
        assert generations(site) == {"copy": 1, "new": 2, "new@1": 1}
        jobs = {row["name"]: row["jobs"] for row in json.loads(site.call("chroot-list", "--json").stdout)["images"]}
        assert jobs == {"copy": 0, "new": 1, "new@1": 0}
        assert site.call("job-diff", str(build.job.number)).returncode == 0
        assert site.call("chroot-rename", IMAGE, "other").returncode == 1, "it is gone"
        with Terminal(site.argv("chroot-list"), columns=100) as terminal:
            assert terminal.wait() == 0
            lines = terminal.seen.decode().splitlines()
            assert len(lines) == 4 and all(len(line) <= 100 for line in lines), lines
        assert site.call("chroot-rename", "new", "copy").returncode == 1, "taken"
    # Killed between the two renames.
    (tiny_root / ".staging" / "new").mkdir(parents=True)
    (tiny_root / ".staging" / "new" / "renamed-to").write_text("third")
    (tiny_root / "new").rename(tiny_root / "third")
    assert site.call("gc").returncode == 0
    assert generations(site) == {"copy": 1, "third": 2, "third@1": 1}
    assert not (tiny_root / ".staging").exists()
    # Killed before the first.
    (tiny_root / ".staging" / "third").mkdir(parents=True)
    (tiny_root / ".staging" / "third" / "renamed-to").write_text("fourth")
    assert site.call("gc").returncode == 0
    assert generations(site) == {"copy": 1, "third": 2, "third@1": 1}
    assert site.call("chroot-rollback", "third").returncode == 0
    assert not (tiny_root / ".staging").exists()


@pytest.mark.parametrize("names", (("a", "b"), ("b", "a")), ids=("up", "down"))
def test_killed_rename(make_site, tiny_root: Path, names: tuple[str, str]) -> None:
    """SIGKILL before the second of the two renames. Who changes the image under its new name first, completes it; nothing
    that is known of the image is lost meanwhile."""
    old, new = names
    site = make_site(root=tiny_root)
    publisher = str(site.lab.driver.parent / "tests" / "unit" / "image-publish")
    (tiny_root / IMAGE).rename(tiny_root / old)
    for text in ("1", "2"):
        subprocess.run([publisher, str(tiny_root), old, text], check=True, timeout=PATIENCE)
    record = tiny_root / ".generations" / old / "3.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "user": "nobody", "env": ["COLOUR=green"]}))
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "inject=renameat2:signal=KILL:when=2",
                           *site.argv("chroot-rename", old, new)], check=False, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL
    assert (tiny_root / new).exists() and (tiny_root / ".generations" / old).exists()

    with running(site, new) as build:
        assert build.run_script("id -un; echo $COLOUR").stdout == b"nobody\ngreen\n"
    subprocess.run([publisher, str(tiny_root), new, "3"], check=True, timeout=PATIENCE)
    assert site.call("gc").returncode == 0
    assert generations(site) == {new: 4, f"{new}@3": 3}
    with site.started(Job(image=new)) as build:
        assert build.run_script("id -un; echo $COLOUR; cat /zzz").stdout == b"nobody\ngreen\n3\n"
    assert not (tiny_root / ".generations" / old).exists() and not (tiny_root / ".staging").exists()
