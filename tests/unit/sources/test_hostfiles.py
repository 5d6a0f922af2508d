"""What is read of a host's disks, on trees that a test made and on the host itself."""

import os
from pathlib import Path

import pytest

from controller.api.conditions import Reason
from controller.sources import hostfiles


def write(root: Path, name: str, text: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("etc/crontab", "# tidy\n0 3 * * * root docker system prune -af\n", 2),
        ("etc/cron.d/tidy", "@daily root /usr/bin/docker container prune -f >/dev/null\n", 1),
        ("etc/cron.weekly/tidy", "#!/bin/sh\nset -e\ndocker -H unix:///x.sock image prune --all\n", 3),
        ("var/spool/cron/crontabs/root", "0 * * * * docker volume prune -f\n", 1),
    ],
)
def test_cron_entries_that_prune_are_found(tmp_path: Path, name: str, text: str, line: int) -> None:
    file = write(tmp_path, name, text)
    (job,), unread = hostfiles.prune_jobs(tmp_path)
    assert (job.file, job.line, unread) == (str(file), line, ())


@pytest.mark.parametrize(
    "text",
    [
        "# docker system prune -f\n",
        "0 3 * * * root docker ps; git remote prune origin\n",
        "0 3 * * * root dockerize prune\n",
    ],
)
def test_what_only_looks_like_it_is_not(tmp_path: Path, text: str) -> None:
    write(tmp_path, "etc/crontab", text)
    assert hostfiles.prune_jobs(tmp_path) == ((), ())


def test_a_script_that_an_entry_calls_is_read(tmp_path: Path) -> None:
    write(tmp_path, "etc/cron.d/tidy", "0 3 * * * root /opt/tidy.sh --now\n")
    script = write(tmp_path, "opt/tidy.sh", "#!/bin/sh\n# tidy\ndocker system prune -f\n")
    (job,), _ = hostfiles.prune_jobs(tmp_path)
    assert (job.file, job.line) == (str(script), 3)
    assert f"called by {tmp_path}/etc/cron.d/tidy:1" in job.text


def test_only_services_with_a_timer_run_by_the_clock(tmp_path: Path) -> None:
    call = "[Service]\nExecStart=/usr/bin/docker system prune -f\n"
    write(tmp_path, "etc/systemd/system/by-hand.service", call)
    assert hostfiles.prune_jobs(tmp_path) == ((), ())
    write(tmp_path, "usr/lib/systemd/system/tidy.timer", "[Timer]\nOnCalendar=daily\n")
    tidy = write(tmp_path, "etc/systemd/system/tidy.service", call)
    write(tmp_path, "etc/systemd/system/weekly.timer", "[Timer]\nUnit=other.service\n")
    other = write(tmp_path, "usr/lib/systemd/system/other.service", call)
    jobs, _ = hostfiles.prune_jobs(tmp_path)
    assert {job.file for job in jobs} == {str(tidy), str(other)}


def test_a_place_is_told_with_its_owner_and_file_system(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    found = hostfiles.look_at(tmp_path)
    assert (found.exists, found.is_directory, found.uid, found.mode) == (True, True, os.getuid(), 0o750)
    assert 0 < found.free <= found.size
    missing = hostfiles.look_at(tmp_path / "not" / "yet")
    assert (missing.exists, missing.file_system) == (False, found.file_system)
    assert hostfiles.look_at(Path("/proc/self")).file_system == "proc"


def test_a_mount_root_is_judged_for_any_mount_beneath_it(tmp_path: Path) -> None:
    missing, _ = hostfiles.check_root(str(tmp_path / "absent"))
    assert missing is not None
    assert missing.reason is Reason.MOUNT_MISSING
    root = tmp_path / "storage"
    root.mkdir(mode=0o755)
    unsafe, _ = hostfiles.check_root(str(root))
    assert unsafe is None
    root.chmod(0o777)
    swappable, _ = hostfiles.check_root(str(root))
    assert swappable is not None
    assert swappable.reason is Reason.MOUNT_UNSAFE
