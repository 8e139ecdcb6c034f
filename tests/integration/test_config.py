# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file: errors with file, line and the nearest known key; values with effect."""

import pytest

from lab import IMAGE, Site

BAD = [
    ("storge: overlay\n", 1, "storage"),
    ("# comment\n\nstorage: zfs\n", 3, "'storage' must be"),
    ("boot: maybe\n", 1, "'boot' must be"),
    ("private_users: 7\n", 1, "'private_users' must be"),
    ("memory_max: lots\n", 1, "'memory_max' must be"),
    ("memory_max: 120%\n", 1, "'memory_max' must be"),
    ("memory_max: -1\n", 1, "'memory_max' must be"),
    ("tasks_max: x\n", 1, "'tasks_max' must be"),
    ("tasks_max: 99999999999999999999999\n", 1, "'tasks_max' must be"),
    ("cpu_weight: 0\n", 1, "'cpu_weight' must be"),
    ("cpu_weight: 10001\n", 1, "'cpu_weight' must be"),
    ("start_timeout: soon\n", 1, "'start_timeout' must be"),
    ("network: bridge\n", 1, "'network' must be"),
    ("root_dir: relative/path\n", 1, "'root_dir' must be"),
    ("seccomp: perhaps\n", 1, "'seccomp' must be"),
    ("boot: [yes]\n", 1, "boot"),
    ("allowed_images: {a: b}\n", 1, "allowed_images"),
    ("storage: overlay\nstorage: tmpfs\n", 2, "storage"),
    ("storage: overlay\n\tboot: yes\n", 2, ""),
    ("storage: 'unfinished\n", 0, ""),
    ("- a\n- list\n", 1, ""),
    ("just text\n", 1, ""),
    ("a: &x 1\nb: *x\n", 1, "a"),
    ("boot: yes\n---\nboot: no\n", 2, ""),
    ("\x00\x01", 0, ""),
]


@pytest.mark.parametrize("text, line, word", BAD)
def test_errors(site: Site, text: str, line: int, word: str) -> None:
    """Each names the file, the line, and what is wrong or meant; no stage does anything then."""
    site.config.write_text(text)
    for command in (["gitlab-config"], ["prepare", IMAGE, "--id", "7"], ["chroot-list"]):
        done = site.call(*command)
        assert done.returncode == 2 or (done.returncode == 1 and command == ["chroot-list"]), str(done)
        assert done.stdout == "" and str(site.config) in done.stderr and word in done.stderr, str(done)
        if line:
            assert f":{line}:" in done.stderr or f"line {line}" in done.stderr, done.stderr


def test_cleanup_with_a_broken_configuration(site: Site) -> None:
    """Somebody edits the file while a job runs: cleanup says so, and works again with the file."""
    with site.started() as build:
        good = site.config.read_text()
        site.config.write_text("storge: x\n")
        call = build.start("cleanup", build.runner.cleanup_exec)
        assert call.wait() and call.returncode != 0 and b"storge" in call.stderr
        site.config.write_text(good)


@pytest.mark.host_matters
def test_changed_settings_do_not_confuse_a_running_job(make_site) -> None:
    """A job keeps the settings it was started with."""
    site = make_site(storage="overlay")
    with site.started() as build:
        site.settings.update(storage="tmpfs", boot="yes", private_users=False)
        site.write_config()
        assert build.run_script("echo still").stdout == b"still\n"


@pytest.mark.parametrize("text", ("", "# nothing\n", "---\n...\n", "\ufeffboot: no\n"))
def test_empty_files(site: Site, text: str) -> None:
    """An empty file, comments only, a byte order mark: the defaults hold."""
    site.config.write_text(text)
    done = site.call("gitlab-config")
    assert done.returncode == 0, str(done)


def test_missing_file(site: Site) -> None:
    """A file given with --config must be there."""
    site.config.unlink()
    done = site.call("gitlab-config")
    assert done.returncode == 2 and str(site.config) in done.stderr, str(done)
    site.write_config()


def test_directory_or_unreadable_file(site: Site) -> None:
    """A directory, or something endless, instead of a file."""
    site.config.unlink()
    for replacement in ("/", "/dev/zero"):
        site.config.symlink_to(replacement)
        done = site.call("gitlab-config")
        assert done.returncode == 2 and str(site.config) in done.stderr, str(done)
        site.config.unlink()
    site.write_config()


def test_list_forms(make_site, tiny_root) -> None:
    """Lists may be written in both of YAML's forms."""
    site = make_site(root=tiny_root)
    base = site.config.read_text()
    for text in ("allowed_images: [nothing, deb*]\n", "allowed_images:\n  - nothing\n  - 'deb*'\n"):
        site.config.write_text(base + text)
        with site.started() as build:
            assert build.run_script("echo up").stdout == b"up\n"
    site.write_config()


def test_root_option_wins(make_site, tiny_root) -> None:
    """--root overrides the file."""
    site = make_site(root=tiny_root, root_dir="/no/such/place")
    done = site.call("--root", str(tiny_root), "chroot-list", "--json")
    assert done.returncode == 0 and IMAGE in done.stdout, str(done)


def test_shell_setting(make_site) -> None:
    """shell: chooses what runs scripts; gitlab-config tells the runner which form they should have."""
    with make_site(shell="/bin/sh").started() as build:
        assert build.run_script("echo ${BASH_VERSION:-plain}\n", raw=True).stdout == b"plain\n"
