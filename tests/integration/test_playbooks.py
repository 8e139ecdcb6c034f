# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks: Debian's ansible against a machine whose root is an image's tree in place."""

import os
import re
import signal
import subprocess
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import pytest

import host
from lab import Done, Lab, Site
from maintenance import NAP
from pace import PATIENCE, wait_until

NAME = "debian"


@dataclass
class Result:
    """What came of one call of image-work."""

    done: Done
    output: str
    ok: int = -1
    changed: int = -1
    failed: int = -1
    status: int = 0

    @property
    def problem(self) -> str:
        """The sentence about a failure."""
        found = re.search(r"^problem: (.*)$", self.done.stderr, re.MULTILINE)
        return found.group(1) if found else ""


class Workshop:
    """A tree that playbooks change, and the program that runs them."""

    def __init__(self, site: Site, tree: Path):
        self.site, self.tree = site, tree
        self.program = site.lab.driver.parent / "tests" / "unit" / "image-work"
        assert os.access(self.program, os.X_OK), f"{self.program} is missing: build all of it"

    def write(self, name: str, text: str) -> Path:
        """A file beside the playbooks."""
        path = self.site.directory / name
        path.write_text(textwrap.dedent(text))
        return path

    def argv(self, *arguments: str | Path) -> list[str]:
        """The program's command line."""
        return [str(self.program), "work", str(self.site.config), NAME, str(self.tree), *map(str, arguments)]

    def call(self, *arguments: str | Path, env: dict[str, str] | None = None) -> Result:
        """Runs playbooks, and after "--" a command."""
        clean = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/root"}
        done = subprocess.run(self.argv(*arguments), env={**clean, **(env or {})}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        result = Result(Done(done.args, done.returncode, done.stdout, done.stderr), done.stdout)
        found = re.search(r"^playbook: (-?\d+) ok=(\d+) changed=(\d+) failed=(\d+)$", done.stderr, re.MULTILINE)
        if found:
            result.status, result.ok, result.changed, result.failed = map(int, found.groups())
        return result

    def play(self, text: str, env: dict[str, str] | None = None) -> Result:
        """Runs one playbook that is to succeed."""
        result = self.call(self.write("playbook.yaml", text), env=env)
        assert result.done.returncode == 0, result.done
        return result


@pytest.fixture(scope="module", name="module_tree")
def fixture_module_tree(lab: Lab) -> Iterator[Path]:
    """One copy of the image for the tests here that do not mind each other."""
    lab.root("overlay")
    directory = Path(tempfile.mkdtemp(prefix="tree-", dir=lab.base))
    directory.chmod(0o755)
    subprocess.run(["cp", "-a", "--reflink=auto", lab.image(), directory / "root"], check=True)
    yield directory / "root"
    host.remove_tree(directory)


@pytest.fixture(name="workshop", params=("no", "yes"), ids=("init", "boot"))
def fixture_workshop(request: pytest.FixtureRequest, make_site: Callable[..., Site], module_tree: Path) -> Workshop:
    """In both boot modes."""
    return Workshop(make_site(boot=request.param), module_tree)


@pytest.fixture(name="plain")
def fixture_plain(make_site: Callable[..., Site], module_tree: Path) -> Workshop:
    """Without the image's systemd: the fastest to start."""
    return Workshop(make_site(boot="no"), module_tree)


@pytest.fixture(name="booted")
def fixture_booted(make_site: Callable[..., Site], module_tree: Path) -> Workshop:
    """With the image's systemd."""
    return Workshop(make_site(boot="yes"), module_tree)


@pytest.mark.host_matters
def test_one_machine_for_all_tasks(plain: Workshop) -> None:
    """The container of the first task is that of the last one."""
    tasks = "".join(f"    - command: cut -d' ' -f 22 /proc/1/stat\n      register: seen{i}\n" for i in range(3))
    result = plain.play("- hosts: all\n  gather_facts: no\n  tasks:\n" + tasks +
                        "    - assert: {that: [seen0.stdout == seen1.stdout, seen0.stdout == seen2.stdout]}\n")
    assert (result.ok, result.changed, result.failed) == (4, 3, 0)


@pytest.mark.host_matters
def test_facts(workshop: Workshop) -> None:
    """They are the image's, not the host's."""
    workshop.play(f"""\
        - hosts: all
          tasks:
            - assert:
                that:
                  - inventory_hostname == "{NAME}"
                  - ansible_distribution == "Debian"
                  - ansible_service_mgr == "systemd" or {workshop.site.settings["boot"] == "no"}
                  - ansible_user_id == "root"
                  - ansible_virtualization_role == "guest"
        """)


def test_changed_or_not(plain: Workshop) -> None:
    """The second time there is nothing to do."""
    text = """\
        - hosts: all
          gather_facts: no
          tasks:
            - copy: {dest: /etc/changed-or-not, content: x, mode: "0600"}
            - file: {path: /srv/changed-or-not, state: directory, owner: daemon}
        """
    assert plain.play(text).changed == 2
    assert plain.play(text).changed == 0
    assert (plain.tree / "etc/changed-or-not").read_text() == "x"
    info = (plain.tree / "srv/changed-or-not").stat()
    assert info.st_uid == 1, "owners on disk are the image's own"


@pytest.mark.host_matters
def test_files(plain: Workshop) -> None:
    """copy and template, small, empty and large, forth and back."""
    large = os.urandom(3_000_000)
    (plain.site.directory / "large").write_bytes(large)
    plain.write("empty", "")
    plain.write("script", "#!/bin/sh\necho by script >/srv/script\n")
    plain.write("template.j2", "hello {{ inventory_hostname }} {{ 6 * 7 }}\n")
    plain.play(f"""\
        - hosts: all
          gather_facts: no
          tasks:
            - copy: {{src: large, dest: /srv/large, mode: "0640"}}
            - copy: {{src: empty, dest: /srv/empty}}
            - template: {{src: template.j2, dest: /srv/template}}
            - fetch: {{src: /srv/large, dest: {plain.site.directory}/back, flat: yes}}
            - script: script
        """)
    assert (plain.tree / "srv/large").read_bytes() == large
    assert (plain.tree / "srv/large").stat().st_mode & 0o7777 == 0o640
    assert (plain.tree / "srv/empty").read_bytes() == b""
    assert (plain.tree / "srv/template").read_text() == f"hello {NAME} 42\n"
    assert (plain.site.directory / "back").read_bytes() == large
    assert (plain.tree / "srv/script").read_text() == "by script\n"


@pytest.mark.host_matters
def test_become(plain: Workshop) -> None:
    """To root, which it is already; to a user; to one that nobody can log in as; with files."""
    plain.play("""\
        - hosts: all
          gather_facts: no
          become: yes
          tasks:
            - command: id -un
              register: root
            - command: id -un
              become_user: daemon
              register: user
            - copy: {content: by daemon, dest: /tmp/by-daemon}
              become_user: daemon
            - stat: {path: /tmp/by-daemon}
              register: file
            - shell: cat
              args: {stdin: through a pipe}
              become_user: daemon
              register: piped
            - assert:
                that:
                  - root.stdout == "root"
                  - user.stdout == "daemon"
                  - file.stat.pw_name == "daemon"
                  - piped.stdout == "through a pipe"
            - file: {path: /tmp/by-daemon, state: absent}
        """)


def test_delegate_to_localhost(plain: Workshop) -> None:
    """The host is the host."""
    marker = plain.site.directory / "on-host"
    plain.play(f"""\
        - hosts: all
          gather_facts: no
          tasks:
            - command: readlink /proc/self/ns/user
              register: inside
            - command: readlink /proc/self/ns/user
              delegate_to: localhost
              register: outside
            - copy: {{content: here, dest: {marker}}}
              delegate_to: localhost
            - local_action: stat path={marker}
              register: found
            - assert:
                that:
                  - inside.stdout != outside.stdout
                  - outside.stdout == "{os.readlink('/proc/self/ns/user')}"
                  - found.stat.exists
        - hosts: localhost
          gather_facts: no
          tasks:
            - assert: {{that: ansible_connection == "local"}}
        """)
    assert marker.read_text() == "here"
    assert not (plain.tree / str(marker)[1:]).exists()


@pytest.mark.host_matters
def test_service(booted: Workshop) -> None:
    """What one task starts answers the next one, and a task that restarts all units loses nobody."""
    booted.play("""\
        - hosts: all
          tasks:
            - copy:
                dest: /etc/systemd/system/answer.service
                content: |
                  [Service]
                  ExecStart=/usr/bin/python3 -m http.server 0 --bind 127.0.0.1 --directory /srv/answer
                  StandardOutput=file:/run/answer.log
                  Environment=PYTHONUNBUFFERED=1
            - file: {path: /srv/answer, state: directory}
            - copy: {dest: /srv/answer/question, content: "42"}
            - systemd: {name: answer, state: started, daemon_reload: yes}
            - wait_for: {path: /run/answer.log, search_regex: "port \\\\d+"}
            - shell: sed -n 's/.*port \\([0-9]*\\).*/\\1/p' /run/answer.log
              register: port
            - uri: {url: "http://127.0.0.1:{{ port.stdout }}/question", return_content: yes}
              register: answer
            - assert: {that: answer.content | string == "42"}
            - service: {name: answer, state: stopped}
            - raw: systemctl restart '*' 2>/dev/null; systemctl daemon-reexec; echo lived
              register: restarted
            - assert: {that: restarted.stdout is search("lived")}
        """)


def test_background_process(plain: Workshop) -> None:
    """Without systemd too, what a task leaves running runs on."""
    plain.play("""\
        - hosts: all
          gather_facts: no
          tasks:
            - shell: nohup sleep 1000 >/dev/null 2>&1 & echo $!
              register: background
            - shell: "kill -0 {{ background.stdout }}"
            - command: echo x
              async: 60
              poll: 1
        """)


def test_environment(plain: Workshop) -> None:
    """The host's proxies reach whoever installs something; nothing else of the host's environment does."""
    plain.play("""\
        - hosts: all
          gather_facts: no
          tasks:
            - command: env
              register: seen
            - assert:
                that:
                  - "'http_proxy=http://proxy.example:3128' in seen.stdout_lines"
                  - "'no_proxy=localhost' in seen.stdout_lines"
                  - "'DEBIAN_FRONTEND=noninteractive' in seen.stdout_lines"
                  - "'SECRET' not in seen.stdout"
        """, env={"http_proxy": "http://proxy.example:3128", "no_proxy": "localhost", "SECRET": "x"})


def test_output_streams(plain: Workshop) -> None:
    """A task's line is there while the next task runs."""
    fifo = plain.site.directory / "go-on"
    os.mkfifo(fifo)
    path = plain.write("playbook.yaml", f"""\
        - hosts: all
          gather_facts: no
          tasks:
            - name: the first
              raw: echo x
            - name: the second
              local_action: command cat {fifo}
        """)
    with subprocess.Popen(plain.argv(path), stdout=subprocess.PIPE, text=True) as process:
        seen = ""
        assert process.stdout
        while "the second" not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
        assert f"changed: [{NAME}]" in seen
        fifo.write_text("")
        assert f"{NAME} " in process.stdout.read()
        assert process.wait() == 0


def test_failing_playbook(plain: Workshop) -> None:
    """Ansible's status comes back, with what failed; what was changed before stays in the tree for the caller."""
    result = plain.call(plain.write("playbook.yaml", """\
        - hosts: all
          gather_facts: no
          tasks:
            - command: echo before
            - command: /bin/sh -c 'echo complaint >&2; exit 3'
            - command: echo after
        """))
    assert result.status == 2 and result.done.returncode == 100, result.done
    assert (result.ok, result.changed, result.failed) == (1, 1, 1)
    assert result.problem.startswith("The playbook failed: fatal: ") and "complaint" in result.problem
    assert "after" not in result.output


@pytest.mark.parametrize("text", ("- hosts: [", "- hosts: all\n  tasks:\n    - no_such_module: {}\n", "{}\n"),
                         ids=("yaml", "module", "no list"))
def test_broken_playbook(plain: Workshop, text: str) -> None:
    """Ansible says what is wrong with it."""
    result = plain.call(plain.write("playbook.yaml", text))
    assert result.status > 0 and "ERROR" in result.problem, result.done


def test_hosts_of_another_kind(plain: Workshop) -> None:
    """A playbook that has nothing for the image is no success; a play among others may be for somebody else."""
    play = "- hosts: webservers\n  gather_facts: no\n  tasks:\n    - raw: touch /never\n"
    result = plain.call(plain.write("playbook.yaml", play))
    assert result.status != 0 and "no play's 'hosts:' matches that" in result.problem, result.done
    ours = "- hosts: all\n  gather_facts: no\n  tasks:\n    - raw: 'true'\n"
    here = "- hosts: localhost\n  gather_facts: no\n  tasks:\n    - debug: {msg: here}\n"
    for text in (play + ours, here):
        plain.play(text)
    assert not (plain.tree / "never").exists()


def test_missing_playbook(plain: Workshop) -> None:
    """Before ansible is started."""
    result = plain.call("/no/such/playbook.yaml")
    assert result.status < 0 and "Cannot read playbook '/no/such/playbook.yaml'" in result.problem


def test_no_ansible(plain: Workshop) -> None:
    """The package is named."""
    result = plain.call(plain.write("playbook.yaml", "- hosts: all\n"), env={"PATH": "/no/such/directory"})
    assert result.status < 0 and "it is in package ansible-core" in result.problem, result.done


def test_no_collection(plain: Workshop) -> None:
    """What is needed is in ansible-core, which has no collections."""
    result = plain.play("""\
        - hosts: all
          gather_facts: no
          tasks:
            - command: echo x
            - copy: {content: x, dest: /tmp/x}
        """, env={"ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False", "ANSIBLE_COLLECTIONS_PATH": "/no/such/directory"})
    assert (result.ok, result.failed) == (2, 0)


def test_own_connection(plain: Workshop) -> None:
    """A connection plugin of the caller's is found beside ours."""
    plain.write("mine.py", """\
        from ansible.plugins.connection.local import Connection as Local


        class Connection(Local):
            transport = "mine"
        """)
    plain.play("""\
        - hosts: all
          gather_facts: no
          tasks:
            - raw: readlink /proc/self/ns/user
              register: inside
            - raw: readlink /proc/self/ns/user
              vars: {ansible_connection: mine}
              register: outside
            - assert: {that: inside.stdout != outside.stdout}
        """, env={"ANSIBLE_CONNECTION_PLUGINS": str(plain.site.directory)})


def test_transfer_fails(plain: Workshop) -> None:
    """Said so, with what the image says; nothing is tried again, and the container is not given up."""
    result = plain.call(plain.write("playbook.yaml", """\
        - hosts: all
          gather_facts: no
          vars: {ansible_pipelining: no}
          tasks:
            - raw: rm -rf /dev/shm/full; mkdir /dev/shm/full; mount -t tmpfs -o size=4k none /dev/shm/full
            - command: echo x
              vars: {ansible_remote_tmp: /dev/shm/full}
        """))
    assert result.status == 2 and (result.ok, result.failed) == (1, 1), result.done
    assert "cannot transfer " in result.problem and "No space left on device" in result.problem, result.done
    assert "UNREACHABLE" not in result.output, result.done


@pytest.fixture(name="without_python")
def fixture_without_python(make_site: Callable[..., Site], lab: Lab) -> Iterator[Workshop]:
    """A small tree that has none."""
    root = lab.tiny_root()
    yield Workshop(make_site(boot="no"), root / "debian")
    host.remove_tree(root)


def test_hint_without_python(without_python: Workshop) -> None:
    """Before ansible starts."""
    result = without_python.call(without_python.write("playbook.yaml", "- hosts: all\n  tasks: [{ping: }]\n"))
    assert result.status < 0 and result.output == "", result.done
    assert "has no python" in result.problem and "gather_facts: no" in result.problem


def test_raw_without_python(without_python: Workshop) -> None:
    """No python is needed for raw; where a later task needs it, the hint comes then."""
    result = without_python.play("""\
        - hosts: all
          gather_facts: no
          tasks:
            - raw: echo by raw >/etc/by-raw; cat /etc/by-raw
        """)
    assert (result.ok, result.changed) == (1, 1)
    assert (without_python.tree / "etc/by-raw").read_text() == "by raw\n"

    result = without_python.call(without_python.write("playbook.yaml", """\
        - hosts: all
          gather_facts: no
          tasks:
            - command: echo x
        """))
    assert result.status > 0 and "has no python" in result.problem, result.done


def test_odd_names(make_site: Callable[..., Site], lab: Lab) -> None:
    """What means something to ansible in the names of image and tree."""
    root = lab.tiny_root()
    try:
        tree = root / "a[1:3],{{ x }}:b"
        (root / "debian").rename(tree)
        workshop = Workshop(make_site(boot="no"), tree)
        path = workshop.write("playbook.yaml", "- hosts: all\n  gather_facts: no\n  tasks: [raw: echo x]\n")
        argv = workshop.argv(path)
        argv[3] = tree.name
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0 and "ok=1 changed=1" in done.stderr, done
    finally:
        host.remove_tree(root)


def test_several_playbooks_one_machine(plain: Workshop) -> None:
    """And a command of our own after them."""
    first = plain.write("first.yaml", "- {hosts: all, gather_facts: no, tasks: [raw: echo one >/run/marker]}\n")
    second = plain.write("second.yaml", "- {hosts: all, gather_facts: no, tasks: [raw: grep one /run/marker]}\n")
    result = plain.call(first, second, "--", "sh", "-c", "cat /run/marker; exit 7")
    assert result.done.returncode == 7 and result.output.endswith("one\n"), result.done


MACHINE_FILES = ("machine-id", "hostname", "hosts", "resolv.conf")


def machine_files(tree: Path) -> dict[str, tuple]:
    """Those files as they are: target, or content, mode, owner and time."""
    state = {}
    for name in MACHINE_FILES:
        path = tree / "etc" / name
        if path.is_symlink():
            state[name] = ("symlink", os.readlink(path))
        elif path.exists():
            info = path.stat()
            state[name] = (path.read_bytes(), info.st_mode, info.st_uid, info.st_mtime_ns)
    return state


def test_machine_leaves_nothing_in_tree(booted: Workshop) -> None:
    """Host name, machine-id, resolver: as they were, whatever they were."""
    etc = booted.tree / "etc"
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    (etc / "machine-id").write_text("")
    (etc / "machine-id").chmod(0o444)
    (etc / "resolv.conf").unlink(missing_ok=True)
    (etc / "resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (etc / "hostname").unlink(missing_ok=True)
    before, all_before = machine_files(booted.tree), set(host.fingerprint(booted.tree))
    result = booted.call("--", "sh", "-c", "cat /etc/hostname /etc/machine-id; test -s /etc/hosts")
    assert result.done.returncode == 0 and len(result.output.splitlines()) == 2, result.done
    assert machine_files(booted.tree) == before
    new = set(host.fingerprint(booted.tree)) - all_before
    assert not {path for path in new if not re.match(r"(var|tmp)(/|$)", path)}, new


def test_changes_of_machine_files_stay(plain: Workshop) -> None:
    """What a playbook does to them is meant."""
    etc = plain.tree / "etc"
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    result = plain.call("--", "sh", "-c", "echo 192.0.2.1 mirror >>/etc/hosts; echo mine >/etc/hostname; "
                                          "rm /etc/resolv.conf; echo nameserver 192.0.2.53 >/etc/resolv.conf")
    assert result.done.returncode == 0, result.done
    assert (etc / "hosts").read_text() == "127.0.0.1 localhost\n192.0.2.1 mirror\n"
    assert (etc / "hostname").read_text() == "mine\n"
    assert (etc / "resolv.conf").read_text() == "nameserver 192.0.2.53\n"


def start_waiting(workshop: Workshop) -> subprocess.Popen:
    """A playbook that hangs in a task; returns when it does."""
    path = workshop.write("playbook.yaml", f"""\
        - hosts: all
          gather_facts: no
          tasks:
            - raw: touch /run/hanging; exec {NAP}
        """)
    process = subprocess.Popen(workshop.argv(path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: NAP in host.processes().values())
    return process


@pytest.mark.host_matters
def test_cancelled(plain: Workshop) -> None:
    """SIGTERM ends ansible, its task, and the machine."""
    process = start_waiting(plain)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 100 and "cancelled" in errors, errors
    assert plain.site.traces() == []


@pytest.mark.host_matters
def test_killed(plain: Workshop) -> None:
    """Nothing outlives the command that was killed but what gc removes."""
    process = start_waiting(plain)
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_until(lambda: not plain.site.job_pids())
    assert plain.site.call("gc").returncode == 0
    assert plain.site.traces() == []


def test_seen_and_left_alone(plain: Workshop) -> None:
    """status shows the machine, gc does not touch it."""
    process = start_waiting(plain)
    try:
        done = plain.site.call("status")
        assert re.search(rf"image-[0-9a-f]+ .*{NAME}.*running", done.stdout), done
        assert plain.site.call("gc").returncode == 0
        assert len(plain.site.jobs()) == 1 and process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_nothing_of_ansible_stays(plain: Workshop) -> None:
    """Its modules and their directories are gone with the machine."""
    before = set(host.fingerprint(plain.tree))
    plain.play("- {hosts: all, tasks: [copy: {dest: /srv/only-this, content: x}]}\n")
    new = {path for path in set(host.fingerprint(plain.tree)) - before if "__pycache__" not in path}
    assert new <= {"srv/only-this"}, new
