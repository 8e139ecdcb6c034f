# SPDX-License-Identifier: GPL-3.0-or-later
"""chroot-maintenance and chroot-create from definitions: what is made, made anew, left alone; errors; the summary."""

import os
import re
import signal
import subprocess
import stat
from pathlib import Path

import pytest

import host
from lab import Lab, Site
from maintenance import (NAP, Report, assert_settled, copy_of, define, generations, maintain, maintaining, output, report_of,
                         running)
from pace import PATIENCE, wait_until


@pytest.fixture(name="tiny")
def fixture_tiny(lab: Lab) -> Path:
    """What images are copies of."""
    return lab.tiny_image()


def numbers(site: Site) -> dict[str, int]:
    """The current generation of each image, and the old ones."""
    return {name: row["generation"] for name, row in generations(site).items()}


@pytest.mark.host_matters
def test_outcomes(images: Site, tiny: Path) -> None:
    """Created, updated, unchanged, failed: in one table with the time and size of each, and none stops the others."""
    for name in ("failing", "stays", "changes"):
        define(images, name, command=copy_of(tiny, "echo one >\"$ROOT/number\""))
    define(images, "failing", command=copy_of(tiny, "echo the tree is full of apples >&2; exit 3"))
    first = maintain(images)
    assert first.status == 1 and first.results == {"changes": "created", "failing": "failed", "stays": "created"}, first
    assert first.rows["failing"].size == "-" and re.fullmatch(r"\d+(\.\d)?M", first.rows["stays"].size), first
    assert "was not made" in first.says("failing") and "exit status 3" in first.says("failing"), first
    assert "full of apples" in first.says("failing"), first

    define(images, "changes", command=copy_of(tiny, "echo two >\"$ROOT/number\""))
    define(images, "failing", command=copy_of(tiny))
    define(images, "new", command=copy_of(tiny))
    second = maintain(images)
    assert second.status == 0, second
    assert second.results == {"changes": "updated", "failing": "created", "new": "created", "stays": "unchanged"}
    assert "Image 'changes' is ready" in second.says("changes") and "generation 2" in second.says("changes"), second
    assert "up to date" in second.says("stays"), second
    assert numbers(images) == {"changes": 2, "changes@1": 1, "failing": 1, "new": 1, "stays": 1}
    assert generations(images)["stays"]["source"].startswith("command cp -a "), generations(images)
    assert output(images, "changes", "cat /number") == "two\n"
    assert output(images, "changes@1", "cat /number") == "one\n"

    define(images, "changes", command="exit 1")
    third = maintain(images, "changes", "stays", "changes")
    assert third.status == 1 and third.results == {"changes": "failed", "stays": "unchanged"}, third
    assert third.rows["changes"].size == first.rows["changes"].size, "what is there is what has a size"
    assert output(images, "changes", "cat /number") == "two\n"
    assert maintain(images, "stays").results == {"stays": "unchanged"}
    assert_settled(images)


BROKEN = {
    "yaml": ("- hosts: all\n vars: {}\n", "2:2", ""),
    "two": ("- vars:\n    nspawn_runner_oci: a\n    nspawn_runner_from: b\n", "3:5", "both say"),
    "unknown": ("- vars:\n    nspawn_runner_create_comand: x\n", "2:5",
                "did you mean 'nspawn_runner_create_command'?"),
    "type": ("- vars:\n    nspawn_runner_keep_generations: many\n", "2:37", "'nspawn_runner_keep_generations' must be"),
    "list": ("nspawn_runner_from: a\n", "1:1", "list of plays"),
    "itself": ("- vars: {nspawn_runner_from: itself}\n", "1:10", "would be made from itself"),
    "one": ("- vars: {nspawn_runner_from: other}\n", "1:10", "one -> other -> one"),
    "other": ("- vars:\n    nspawn_runner_from: one\n", "2:5", "other -> one -> other"),
    "behind": ("- vars: {nspawn_runner_from: one}\n", "1:10", "one -> other -> one"),
}


def test_broken_definitions(images: Site, tiny: Path) -> None:
    """Each error has file, line, column, and a suggestion where there is one; the other images are made."""
    for name, (text, _, _) in BROKEN.items():
        (images.definitions / f"{name}.yml").write_text(text)
    (images.definitions / "not an image.yaml").write_text("- vars: {}\n")
    (images.definitions / "dangling.yaml").symlink_to("nowhere")
    (images.definitions / "README.txt").write_text("not YAML: [\n")
    define(images, "good", command=copy_of(tiny))
    define(images, "nothing")
    report = maintain(images)
    assert report.status == 1, report
    assert report.results == {"good": "created", "nothing": "failed", "dangling": "failed",
                              **{name: "failed" for name in BROKEN}}, report
    lines = report.done.stderr.splitlines()
    for name, (_, place, words) in BROKEN.items():
        about = [line for line in lines if f"{images.definitions}/{name}.yml:{place}: " in line]
        assert len(about) == 1 and words in about[0], (name, str(report))
    assert "does not say what to make it from" in report.says("nothing"), report
    assert any("not an image.yaml' cannot be a definition" in line for line in lines), report
    assert maintain(images, "good").status == 0
    for name in BROKEN:
        assert maintain(images, name).status == 1
    (images.definitions / "nothing.yaml").unlink()
    assert maintain(images, "good", "nothing").results == {"good": "unchanged", "nothing": "failed"}
    assert_settled(images)


def test_called_wrongly(images: Site, tiny: Path) -> None:
    """Before anything is begun."""
    report = maintain(images)
    assert report.status == 0 and report.rows == {} and "no definition in" in report.done.stderr, report
    report = maintain(images, "absent")
    assert report.status == 1 and report.results == {"absent": "failed"}, report
    assert f"'{images.definitions}/absent.yaml'" in report.done.stderr, report
    report = maintain(images, "../absent")
    assert report.status == 1 and "../absent" in report.done.stderr, report
    define(images, "one", command=copy_of(tiny))
    for jobs in ("0", "-1", "x", "65", "1.5", "", "99999999999999999999"):
        report = maintain(images, f"--jobs={jobs}")
        assert report.status == 2 and report.rows == {} and "--jobs must be a number" in report.done.stderr, report
    assert os.listdir(images.root) == []


def test_two_definitions(images: Site, tiny: Path) -> None:
    """The first that is found counts, and the other one is pointed out."""
    path = define(images, "one", command=copy_of(tiny, "echo first >\"$ROOT/which\""))
    second = path.with_suffix(".yml")
    second.write_text("- vars: {nspawn_runner_create_command: [\"false\"]}\n")
    (images.root / "one.yaml").write_text("- vars: {nspawn_runner_create_command: [\"false\"]}\n")
    (images.root / "beside.yml").write_text(define(images, "x", command=copy_of(tiny)).read_text())
    (images.definitions / "x.yaml").unlink()
    report = maintain(images)
    assert report.status == 0 and report.results == {"beside": "created", "one": "created"}, report
    assert f"two definitions: '{path}' is used, '{second}' is not" in report.done.stderr, report
    assert "later play" not in report.done.stderr, report
    assert output(images, "one", "cat /which") == "first\n"


def test_odd_definitions(images: Site, tiny: Path) -> None:
    """What somebody may have meant in another way is said."""
    path = define(images, "one", command=copy_of(tiny))
    path.write_text(path.read_text() + "- hosts: all\n  vars:\n    nspawn_runner_from: two\n")
    define(images, "one@2", command=copy_of(tiny))
    report = maintain(images)
    assert report.status == 1 and report.results == {"one": "created", "one@2": "failed"}, report
    line = len(path.read_text().splitlines()) - 1
    assert f"WARNING: {path}:{line}: variables of a later play are ansible's" in report.done.stderr, report
    assert "generation 2 of image 'one'" in report.says("one@2"), report


def test_from(images: Site, tiny: Path) -> None:
    """An image is made after the one that it is made from, made anew with it, and not made without it."""
    define(images, "c", command=copy_of(tiny, "echo one >\"$ROOT/number\""))
    define(images, "a", "from: b")
    define(images, "b", "from: c")
    first = maintain(images, "--jobs", "3")
    assert first.status == 0 and set(first.results.values()) == {"created"}, first
    assert set(maintain(images).results.values()) == {"unchanged"}
    define(images, "c", command=copy_of(tiny, "echo two >\"$ROOT/number\""))
    # Also those that nobody named, as one that was named is made from them.
    report = maintain(images, "a")
    assert list(report.results.items()) == [("a", "updated"), ("b", "updated"), ("c", "updated")], report
    assert output(images, "a", "cat /number") == "two\n"

    define(images, "c", command="echo away >&2; false")
    report = maintain(images)
    assert report.status == 1 and set(report.results.values()) == {"failed"}, report
    assert "Image 'a' was not made: image 'b', which it is made from, failed" in report.done.stderr, report
    assert numbers(images)["a"] == 2 and output(images, "a", "cat /number") == "two\n"

    (images.definitions / "c.yaml").unlink()
    (images.definitions / "b.yaml").unlink()
    define(images, "lost", "from: nowhere")
    report = maintain(images)
    assert report.results == {"a": "unchanged", "lost": "failed"}, report
    assert "there is no image 'nowhere'" in report.says("lost"), report
    assert_settled(images)


def test_from_image_that_was_made_again(images: Site, tiny: Path) -> None:
    """The numbers of an image that was removed begin anew; the image made from it notices all the same."""
    define(images, "base", command=copy_of(tiny, "echo one >$ROOT/number"))
    define(images, "child", "from: base")
    assert maintain(images).status == 0
    assert images.call("chroot-remove", "--yes", "base").returncode == 0
    define(images, "base", command=copy_of(tiny, "echo two >$ROOT/number"))
    assert maintain(images).results == {"base": "created", "child": "updated"}
    assert numbers(images)["base"] == 1 and output(images, "child", "cat /number") == "two\n"


def test_create_from(images: Site, tiny: Path) -> None:
    """chroot-create makes what the image is made from first, if it is not there; a circle is refused."""
    define(images, "c", command=copy_of(tiny, "echo one >$ROOT/number"))
    define(images, "b", "from: c")
    define(images, "a", "from: b")
    report = create(images, "a")
    assert report.status == 0, report
    assert "Making image 'b' first, which 'a' is made from" in report.done.stderr, report
    assert numbers(images) == {"a": 1, "b": 1, "c": 1} and output(images, "a", "cat /number") == "one\n"
    define(images, "x", "from: y")
    define(images, "y", "from: x")
    report = create(images, "x")
    assert report.status == 1 and "would be made from itself" in report.done.stderr, report
    assert_settled(images)


def test_login_to_defined_image(images: Site, tiny: Path) -> None:
    """What is changed by hand in an image that is made from something is gone when it is made anew: that is said before
    the shell starts. Nothing is said where it cannot happen."""
    def login(name: str, *options: str) -> str:
        done = subprocess.run(images.argv("chroot-login", *options, name), text=True, check=True, capture_output=True,
                              input="echo by hand >/changed\necho in the shell >&2\n")
        return done.stderr.partition("in the shell")[0]

    path = define(images, "one", command=copy_of(tiny))
    define(images, "child", "from: one")
    assert maintain(images).status == 0
    warning = f"'{path}' says: what you change here is lost"
    assert warning in login("one", "--publish") and "is lost" in login("child")
    assert "is lost" not in login("one", "--discard")
    define(images, "one", "boot: no")
    assert "is lost" not in login("one")
    assert maintain(images).status == 0 and (images.root / "one/changed").exists()
    define(images, "one", command=copy_of(tiny, "true"))
    assert maintain(images).status == 0 and not (images.root / "one/changed").exists(), "so it is"
    path.unlink()
    assert "is lost" not in login("one")


def test_copied_image(images: Site, tiny: Path) -> None:
    """An image that came with its number from another host, but without what was known of it there."""
    define(images, "one", command=copy_of(tiny))
    assert maintain(images).status == 0
    host.remove_tree(images.root / ".generations")
    for _ in range(2):
        assert maintain(images).results == {"one": "unchanged"}
    define(images, "one", "maint_recreate: yes", command=copy_of(tiny))
    assert maintain(images).results == {"one": "updated"}
    assert numbers(images) == {"one": 2, "one@1": 1}


def test_umask(images: Site, tiny: Path) -> None:
    """Whoever calls with whatever umask: users of the image can enter its root directory."""
    define(images, "one", command=f'cp -a "{tiny}/usr" "{tiny}/etc" "{tiny}/bin" "{tiny}/lib" "$ROOT"')
    done = images.call("chroot-create", "one", umask=0o077)
    assert done.returncode == 0, str(done)
    assert stat.S_IMODE((images.root / "one").stat().st_mode) == 0o755


def test_without_ansible(images: Site, tiny: Path) -> None:
    """A definition without tasks needs none; one with tasks says what is missing. The command may be a list."""
    programs = images.directory / "programs"
    programs.mkdir()
    for path in Path("/usr/bin").iterdir():
        if not path.name.startswith("ansible"):
            (programs / path.name).symlink_to(path)
    env = {"PATH": f"{programs}:/usr/sbin:/sbin"}
    define(images, "plain", f'create_command: [sh, -c, "cp -a {tiny}/. $ROOT"]')
    define(images, "tasks", command=copy_of(tiny), tasks="- raw: true\n")
    report = maintain(images, env=env)
    assert report.results == {"plain": "created", "tasks": "failed"}, report
    assert "it is in package ansible-core" in report.says("tasks"), report


def test_rollback_and_maintenance(images: Site, tiny: Path) -> None:
    """What was rolled back stays until there is something new, as many as the definition says are kept, and the
    command says that this will come."""
    for count, keep in ((1, 1), (2, 3), (3, 3)):
        define(images, "one", f"keep_generations: {keep}", command=copy_of(tiny, f"echo {count} >$ROOT/number"))
        assert maintain(images).status == 0
    assert numbers(images) == {"one": 3, "one@2": 2, "one@1": 1} or numbers(images) == {"one": 3, "one@2": 2}
    done = images.call("chroot-rollback", "one", "2")
    assert done.returncode == 0 and "The next chroot-maintenance brings it up to date again" in done.stderr, str(done)
    assert images.call("gc").returncode == 0
    assert {"one": 2, "one@3": 3}.items() <= numbers(images).items()
    assert maintain(images).results == {"one": "updated"}
    assert output(images, "one", "cat /number") == "3\n"


def test_jobs_of_image_made_by_hand(images: Site, tiny: Path) -> None:
    """A job that began before its tree had a number counts with that tree."""
    subprocess.run(["cp", "-a", tiny, images.root / "hand"], check=True)
    with running(images, "hand"):
        assert generations(images)["hand"]["jobs"] == 1
        define(images, "hand", tasks="- raw: touch /new\n")
        assert maintain(images).results == {"hand": "updated"}
        rows = generations(images)
        assert {name: row["jobs"] for name, row in rows.items()} == {"hand": 0, "hand@1": 1}, rows


def test_login_to_image_of_registry(images: Site) -> None:
    """Refused, with what to do instead."""
    done = images.call("chroot-login", "registry.example/group/name:1")
    assert done.returncode == 1 and "nspawn_runner_oci" in done.stderr and "chroot-run" in done.stderr, str(done)


def test_from_image_without_definition(images: Site, tiny: Path) -> None:
    """One that was put there by hand is as good; changed and published, it is another one."""
    subprocess.run(["cp", "-a", tiny, images.root / "hand"], check=True)
    define(images, "child", "from: hand")
    assert maintain(images).results == {"child": "created"}
    assert maintain(images).results == {"child": "unchanged"}
    done = subprocess.run(images.argv("chroot-login", "hand"), input="touch /changed\n", text=True, check=False,
                          capture_output=True)
    assert done.returncode == 0, done
    assert maintain(images).results == {"child": "updated"}
    assert (images.root / "child/changed").exists()


def test_image_made_by_hand(images: Site, tiny: Path) -> None:
    """With a definition that says nothing of a source: the playbook is played in a copy. With one that does: the tree
    stays, too, as nobody knows what it was made from."""
    subprocess.run(["cp", "-a", tiny, images.root / "hand"], check=True)
    define(images, "hand", tasks="- raw: echo played >/played\n")
    report = maintain(images)
    assert report.status == 0 and report.results == {"hand": "updated"}, report
    assert output(images, "hand", "cat /played") == "played\n" and not (images.root / ".generations/hand/1/played").exists()
    define(images, "hand", command="exit 1")
    assert maintain(images).results == {"hand": "unchanged"}
    define(images, "hand", "boot: no")
    assert maintain(images).results == {"hand": "unchanged"}
    assert numbers(images) == {"hand": 2, "hand@1": 1}
    assert_settled(images)


def test_recreate(images: Site, tiny: Path) -> None:
    """maint_recreate: from its source each time, also where nothing seems to have changed."""
    counter = images.directory / "counter"
    define(images, "one", "maint_recreate: yes", command=copy_of(tiny, f"echo x >>{counter}; cp {counter} $ROOT/"))
    for count in range(1, 4):
        report = maintain(images)
        assert report.results == {"one": "created" if count == 1 else "updated"}, report
        assert (images.root / "one/counter").read_text() == "x\n" * count
    assert numbers(images) == {"one": 3, "one@2": 2}


def test_keep_generations(images: Site, tiny: Path) -> None:
    """As many as the definition says, and those that jobs still use: until they have ended."""
    for count in range(1, 6):
        define(images, "one", "keep_generations: 3", command=copy_of(tiny, f"echo {count} >$ROOT/number"))
        assert maintain(images).status == 0
    assert numbers(images) == {"one": 5, "one@4": 4, "one@3": 3}
    with running(images, "one@3") as third, running(images, "one") as fifth:
        for count in range(6, 9):
            define(images, "one", "keep_generations: 1", command=copy_of(tiny, f"echo {count} >$ROOT/number"))
            assert maintain(images).results == {"one": "updated"}
        assert numbers(images) == {"one": 8, "one@5": 5, "one@3": 3}
        assert third.run_script("cat /number; ls /usr/bin/bash").stdout == b"3\n/usr/bin/bash\n"
        assert fifth.run_script("cat /number; ls /usr/bin/bash").stdout == b"5\n/usr/bin/bash\n"
    assert maintain(images).results == {"one": "unchanged"}
    assert numbers(images) == {"one": 8}
    assert_settled(images)


def test_keep_generations_changes(images: Site, tiny: Path) -> None:
    """The definition's number counts at once, also when nothing else is new: fewer go, more stay from then on."""
    def one(count: int, keep: int) -> None:
        define(images, "one", f"keep_generations: {keep}", command=copy_of(tiny, f"echo {count} >$ROOT/number"))

    for count in range(1, 5):
        one(count, 4)
        assert maintain(images).status == 0
    assert numbers(images) == {"one": 4, "one@3": 3, "one@2": 2, "one@1": 1}
    one(4, 2)
    assert maintain(images).results == {"one": "unchanged"}
    assert numbers(images) == {"one": 4, "one@3": 3}
    one(4, 3)
    assert maintain(images).results == {"one": "unchanged"}
    assert numbers(images) == {"one": 4, "one@3": 3}
    # A copy of the tree in which a playbook changes nothing is no reason to forget it either.
    define(images, "one", "keep_generations: 1", command=copy_of(tiny, "echo 4 >$ROOT/number"),
           tasks="- raw: test -e /number\n  changed_when: no\n")
    assert maintain(images).results == {"one": "unchanged"}
    assert numbers(images) == {"one": 4}
    with running(images, "one") as build:
        assert build.run_script("cat /number").stdout == b"4\n"
    assert_settled(images)


def test_test(images: Site, tiny: Path) -> None:
    """nspawn_runner_test decides; what it does to the tree is not published; nothing changed is not tested."""
    good = 'test: "test -x /usr/bin/bash; touch /usr/by-test; echo from-the-test; test $(cat /number) = one"'
    define(images, "one", good, command=copy_of(tiny, "echo one >$ROOT/number"))
    report = maintain(images)
    assert report.results == {"one": "created"} and "from-the-test" in report.says("one"), report
    assert not (images.root / "one/usr/by-test").exists()
    report = maintain(images)
    assert report.results == {"one": "unchanged"} and "from-the-test" not in report.says("one"), report

    define(images, "one", good, command=copy_of(tiny, "echo 2 >$ROOT/number"))
    define(images, "new", "test: [\"false\"]", command=copy_of(tiny))
    report = maintain(images)
    assert report.status == 1 and report.results == {"new": "failed", "one": "failed"}, report
    for name in ("new", "one"):
        assert "its test (nspawn_runner_test) ended with exit status 1" in report.says(name), report
    assert output(images, "one", "cat /number") == "one\n" and numbers(images) == {"one": 1}
    assert not (images.root / "new").exists()
    assert_settled(images)


def create(site: Site, *arguments: str, env: dict[str, str] | None = None) -> Report:
    """chroot-create, which prints no table."""
    done = site.call("chroot-create", *arguments, env=env)
    assert done.stdout == "", str(done)
    return Report(done)


def test_create(images: Site, tiny: Path) -> None:
    """As the definition says, with the playbook; what is there is not touched."""
    define(images, "one", command=copy_of(tiny), tasks="- raw: echo by the playbook >/played\n")
    report = create(images, "one")
    assert report.status == 0, report
    for words in ("Making it from command", "Running its playbook", "changed: [one]", "Publishing it",
                  f"Image 'one' is ready: {images.root}/one, generation 1"):
        assert words in report.done.stderr, report
    assert output(images, "one", "cat /played") == "by the playbook\n"
    assert images.trash() == []  # nobody removes anything any more
    before = host.fingerprint(images.root)
    report = create(images, "one")
    assert report.status == 1 and "already" in report.done.stderr, report
    assert host.changes(before, host.fingerprint(images.root)) == []

    define(images, "bad", "chroot_suite: ../x")
    report = create(images, "bad")
    assert report.status == 1 and f"{images.definitions}/bad.yaml:4:33: " in report.done.stderr, report
    define(images, "failing", command=copy_of(tiny), tasks="- raw: echo the reason >&2; exit 4\n")
    report = create(images, "failing")
    assert report.status == 1 and "Image 'failing' was not made" in report.done.stderr, report
    assert "the reason" in report.done.stderr and not (images.root / "failing").exists(), report
    assert_settled(images)


def test_create_options_override(images: Site, tiny: Path) -> None:
    """--suite comes before the definition's source; the rest of the definition counts."""
    programs = images.directory / "bin"
    programs.mkdir()
    (programs / "mmdebstrap").write_text("#!/bin/sh\nfor argument; do case $argument in /*) target=$argument;; esac; "
                                         f"done\necho \"$@\" >{images.directory}/arguments\ncp -a {tiny}/. $target\n")
    (programs / "mmdebstrap").chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}"}
    define(images, "one", "chroot_suite: bullseye", "packages: [vim, jq]", "test: [stat, /usr/bin/bash]")
    report = create(images, "one", "--suite", "bookworm", env=env)
    assert report.status == 0 and "Testing it" in report.done.stderr, report
    arguments = (images.directory / "arguments").read_text()
    assert "bookworm" in arguments and "bullseye" not in arguments and "vim" in arguments, arguments
    assert generations(images)["one"]["source"] == "suite bookworm"
    define(images, "two", command="exit 1")
    report = create(images, "two", "--suite", "bookworm", env=env)
    assert report.status == 0 and generations(images)["two"]["source"] == "suite bookworm", report


def test_logs(images: Site, lab: Lab) -> None:
    """What the last maintenance of an image said is kept: while it goes on, after it, until the image is removed. The table
    has the reason of a failure."""
    define(images, "good", command=copy_of(lab.tiny_image()))
    define(images, "bad", command="echo some words; exit 3")
    report = maintain(images)
    assert report.results == {"good": "created", "bad": "failed"} and report.rows["good"].reason == "", report
    assert "exit status 3" in report.rows["bad"].reason, report
    for name, words in (("bad", ["some words", "exit status 3", ": failed"]), ("good", ["is ready", ": created"])):
        done = images.call("logs", name)
        assert done.returncode == 0 and all(word in done.stdout for word in words), str(done)
        assert "maintenance begins" in done.stdout.splitlines()[0] and done.stdout.count("begins") == 1, str(done)
    assert images.call("logs", "none").returncode == 1

    define(images, "bad", command=f"echo waiting >&2; exec {NAP}")
    with maintaining(images, "bad") as process:
        wait_until(lambda: "waiting" in images.call("logs", "bad").stdout)
        with subprocess.Popen(images.argv("logs", "--follow", "bad"), stdout=subprocess.PIPE, text=True) as follower:
            process.send_signal(signal.SIGINT)
            assert report_of(process).status == 128 + signal.SIGINT
            said, _ = follower.communicate(timeout=PATIENCE)
    assert "Stopped by SIG" in said and said.endswith(": failed\n"), said
    assert maintain(images, "good").results == {"good": "unchanged"}
    assert images.call("chroot-remove", "--yes", "good").returncode == 0
    assert images.call("logs", "good").returncode == 1
