# SPDX-License-Identifier: GPL-3.0-or-later
"""Several images at a time, several maintenances at a time, and what stops them: signals, a terminal that goes."""

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

import host
from lab import Lab, Site
from maintenance import (NAP, PATIENCE, assert_settled, copy_of, define, generations, maintain, maintaining, output,
                         put_tiny, report_of, running)
from pace import wait_until


def fifos(site: Site, *names: str) -> list[Path]:
    """New ones, in the site's directory."""
    paths = [site.directory / name for name in names]
    for path in paths:
        os.mkfifo(path)
    return paths


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """The first line on its stderr that has the text; what was before is read and gone."""
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"it ended without a word about '{text}'")


def test_same_image_twice(images: Site, lab: Lab) -> None:
    """Who comes to an image that is being changed says by whom, and waits, or fails if that was asked for; the other
    images of a maintenance go on."""
    begun, go_on = images.directory / "begun", fifos(images, "go-on")[0]
    define(images, "busy", command=f"touch {begun}; read line <{go_on}\n" + copy_of(lab.tiny_image()))
    with maintaining(images, "busy") as first:
        wait_until(begun.exists)
        (worker,) = host.read(f"/proc/{first.pid}/task/{first.pid}/children").split()
        who = re.compile(rf"it is being changed by chroot-maintenance \(PID {worker}, since \d\d:\d\d\)")
        define(images, "other", command=copy_of(lab.tiny_image()))
        hasty = maintain(images, "--no-wait")
        assert hasty.status == 1 and hasty.results == {"busy": "failed", "other": "created"}, hasty
        assert who.search(hasty.says("busy")), hasty
        done = images.call("chroot-create", "--no-wait", "busy")
        assert done.returncode == 1 and who.search(done.stderr), str(done)
        with maintaining(images, "busy") as second, \
                subprocess.Popen(images.argv("chroot-create", "busy"), stdin=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True) as third:
            assert who.search(line_with(second, "Waiting: ")) and who.search(line_with(third, "Waiting: "))
            go_on.write_text("\n")
            assert report_of(first).results == {"busy": "created"}
            assert report_of(second).results == {"busy": "unchanged"}
            assert "'busy' already exists in" in third.communicate(timeout=PATIENCE)[1]
            assert third.returncode == 1
    assert set(generations(images)) == {"busy", "other"}
    assert maintain(images).results == {"busy": "unchanged", "other": "unchanged"}
    assert_settled(images)


def test_jobs(images: Site, lab: Lab) -> None:
    """--jobs 2 has two at work at once, who here wait for each other; and not three."""
    one, two = fifos(images, "one", "two")
    count = images.directory / "count"
    count.mkdir()
    for name, talk in (("a", f"echo x >{one}; read x <{two}\n"), ("b", f"read x <{one}; echo x >{two}\n"),
                       ("c", ""), ("d", "")):
        begin = f"touch {count}/{name}; ls {count} | wc -l >>{images.directory}/counts\n"
        define(images, name, command=begin + talk + copy_of(lab.tiny_image(), f"sleep 0.1; rm {count}/{name}"))
    report = maintain(images, "--jobs", "2")
    assert report.status == 0 and report.results == dict.fromkeys("abcd", "created"), report
    counts = (images.directory / "counts").read_text().split()
    assert max(map(int, counts)) == 2 and len(counts) == 4, counts
    assert_settled(images)


def test_output_is_told_apart(images: Site) -> None:
    """Each line has the name of the image that it is about, whole, whoever else prints at the time."""
    talk = "- raw: for i in $(seq 300); do echo \"$i {0} {0} {0}\"; done\n  changed_when: no\n" \
           "- debug: msg=\"{{{{ lines.stdout_lines }}}}\"\n"
    tiny = put_tiny(images)
    for name in ("left", "right"):
        tasks = talk.format(name).replace("changed_when", "register: lines\n  changed_when")
        define(images, name, tiny, tasks=tasks)
    report = maintain(images, "--jobs=2")
    assert report.status == 0, report
    for line in report.done.stderr.splitlines():
        assert re.match("(left|right): ", line), line
    for name in ("left", "right"):
        numbers = re.findall(rf'"(\d+) {name} {name} {name}"', report.says(name))
        assert numbers == [str(number) for number in range(1, 301)], report
        assert ("right" if name == "left" else "left") not in report.says(name)


def test_output_as_it_comes(images: Site, lab: Lab) -> None:
    """What the command that makes the tree printed is there while it goes on, and that of a task while the next one runs."""
    command_waits, fifo = fifos(images, "command-waits", "go-on")
    define(images, "one", command=copy_of(lab.tiny_image(), f"echo copied; echo complaint >&2; cat {command_waits}"), tasks=f"""\
        - name: the first
          raw: echo x
        - name: the second
          local_action: command cat {fifo}
        """)
    with maintaining(images) as process:
        seen = ""
        assert process.stderr
        while not ("one: copied\n" in seen and "one: complaint\n" in seen):
            seen += process.stderr.readline()
        command_waits.write_text("")
        while "the second" not in seen:
            line = process.stderr.readline()
            assert line.startswith("one: "), seen
            seen += line
        assert "changed: [one]" in seen
        fifo.write_text("")
        assert report_of(process).results == {"one": "created"}


def waiting_definitions(site: Site, tree: Path, where: str) -> Path:
    """Image "hangs" for ever at that point, after "done" and before "later"; the file that says that it does."""
    sign = site.directory / "hanging"
    sign.unlink(missing_ok=True)
    wait = f"touch {sign}; exec {NAP}\n"
    define(site, "done", command=copy_of(tree))
    define(site, "later", command=copy_of(tree))
    in_machine = f"touch /root/hanging; exec {NAP}"
    if where == "command":
        define(site, "hangs", command=copy_of(tree, wait))
    elif where == "playbook":
        define(site, "hangs", "from: done", tasks=f"- local_action: shell {wait}")
    elif where == "task":
        define(site, "hangs", "from: done", tasks=f"- raw: {in_machine}\n")
    else:
        define(site, "hangs", f'test: "{in_machine}"', command=copy_of(tree))
    return sign


def sleepers() -> list[int]:
    """Processes of the tests here that are to have ended."""
    return [pid for pid, command in host.processes().items() if command == NAP]


WHERE = ("command", "playbook", "task", "test")


@pytest.mark.parametrize("where, number, everybody",
                         [*((where, signal.SIGTERM, False) for where in WHERE), ("command", signal.SIGINT, True),
                          ("task", signal.SIGINT, True), ("playbook", signal.SIGHUP, True),
                          ("command", signal.SIGHUP, False)])
def test_stopped(images: Site, lab: Lab, where: str, number: signal.Signals, everybody: bool) -> None:
    """By a signal, to the command alone or, as Ctrl-C and a closing terminal do, to its children, too: what is at work is
    undone, what waits is not begun, what is done stays; the table says which is which."""
    waiting_definitions(images, lab.tiny_image(), where)
    assert maintain(images, "done").status == 0
    with maintaining(images) as process:
        wait_until(sleepers)
        if everybody:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        report = report_of(process)
    assert report.status == 128 + number, report
    assert "Stopped by SIG" in report.rows["hangs"].reason, report
    assert report.results == {"done": "unchanged", "hangs": "failed", "later": "not begun"}, report
    assert re.search("Stopped by SIG(TERM|INT|HUP): image 'hangs' was not made", report.says("hangs")), report
    assert sleepers() == []
    assert_settled(images)
    assert set(generations(images)) == {"done"}
    (images.definitions / "hangs.yaml").unlink()
    assert maintain(images).results == {"done": "unchanged", "later": "created"}


@pytest.mark.host_matters
def test_stopped_while_several_work(images: Site, lab: Lab) -> None:
    """All of them, also if the signal comes again and again; those that wait for one of them are not begun."""
    for name in ("a", "b", "c"):
        define(images, name, command=copy_of(lab.tiny_image(), f"exec {NAP}"))
    define(images, "child", "from: a")
    with maintaining(images, "--jobs=3") as process:
        wait_until(lambda: len(sleepers()) == 3)
        for _ in range(5):
            process.send_signal(signal.SIGTERM)
        report = report_of(process)
    assert report.status == 128 + signal.SIGTERM, report
    assert report.results == {"a": "failed", "b": "failed", "c": "failed", "child": "not begun"}, report
    assert sleepers() == [] and generations(images) == {}
    assert_settled(images)


def test_terminal_goes(images: Site, lab: Lab) -> None:
    """Nobody is there to read what is printed: all the same everything is undone."""
    waiting_definitions(images, lab.tiny_image(), "task")
    pid, terminal = pty.fork()
    if pid == 0:
        argv = images.argv("chroot-maintenance")
        os.execv(argv[0], argv)
    wait_until(sleepers)
    os.close(terminal)
    wait_until(lambda: os.waitpid(pid, os.WNOHANG) != (0, 0))
    assert sleepers() == [] and set(generations(images)) == {"done"}
    assert_settled(images)


def test_reader_goes(images: Site, lab: Lab) -> None:
    """`chroot-maintenance | head -1` makes its images whole, or leaves nothing of them."""
    define(images, "one", command=copy_of(lab.tiny_image()), tasks="- raw: seq 1000\n")
    with subprocess.Popen(images.argv("chroot-maintenance"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        assert process.stderr
        process.stderr.readline()
        process.stderr.close()
        process.wait(PATIENCE)
    assert_settled(images)
    assert maintain(images).status == 0


def test_create_stopped(images: Site, lab: Lab) -> None:
    """chroot-create, too."""
    define(images, "hangs", command=copy_of(lab.tiny_image()), tasks=f"- raw: exec {NAP}\n")
    with subprocess.Popen(images.argv("chroot-create", "hangs"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as process:
        wait_until(sleepers)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "Stopped by SIGTERM: image 'hangs' was not made, and nothing incomplete was left" in errors, errors
    assert sleepers() == [] and set(os.listdir(images.root)) <= {".layers", ".trash"}
    assert_settled(images)


@pytest.mark.host_matters
def test_job_goes_on(images: Site, lab: Lab) -> None:
    """A real job through several maintenances: its tree is what it was, to its end; then it is collected."""
    define(images, "one", command=copy_of(lab.tiny_image(), "echo 1 >$ROOT/aaa; echo 1 >$ROOT/zzz"))
    assert maintain(images).status == 0
    with running(images, "one") as build:
        build.run_script("while sleep 0.05; do cat /aaa /zzz; done >/seen 2>&1 &")
        for count in range(2, 6):
            define(images, "one", command=copy_of(lab.tiny_image(), f"echo {count} >$ROOT/aaa; echo {count} >$ROOT/zzz"))
            assert maintain(images).results == {"one": "updated"}
            assert set(build.run_script("cat /aaa /zzz /seen").stdout.split()) == {b"1"}
        assert set(generations(images)) == {"one", "one@1", "one@4"}
        assert output(images, "one", "cat /aaa /zzz") == "5\n5\n"
    assert maintain(images).results == {"one": "unchanged"}
    assert set(generations(images)) == {"one", "one@4"}
    assert_settled(images)
