"""What the kernel's refusals mean."""

import errno
import os

import pytest

from controller.api.conditions import Reason
from controller.model import errors
from controller.slices import refusals


@pytest.mark.parametrize(
    ("number", "file", "kind", "reason", "words"),
    [
        (errno.EINVAL, "cpu.cfs_quota_us", errors.Retryable, Reason.SLICE_REFUSED, "cpus: "),
        (errno.EINVAL, "cpu.max", errors.Retryable, Reason.SLICE_REFUSED, "at least 0.01 processors"),
        (errno.EBUSY, "cpuset.cpus", errors.Retryable, Reason.SLICE_REFUSED, "would be taken away"),
        (errno.EBUSY, "memory.limit_in_bytes", errors.Retryable, Reason.SLICE_REFUSED, "in use"),
        (errno.EBUSY, "memory.memsw.limit_in_bytes", errors.Retryable, Reason.SLICE_REFUSED, "swap: "),
        (errno.EBUSY, "", errors.Retryable, Reason.CHANGED_MEANWHILE, "something is in it"),
        (errno.EROFS, "pids.max", errors.Terminal, Reason.SLICE_REFUSED, "ProtectControlGroups"),
        (errno.EACCES, "memory.max", errors.Terminal, Reason.SLICE_REFUSED, "ProtectControlGroups"),
        (errno.EACCES, "cpuset.cpus", errors.Retryable, Reason.SLICE_REFUSED, "has not all of these"),
        (errno.ENODEV, "io.max", errors.Retryable, Reason.SLICE_REFUSED, "io: "),
        (errno.ENODEV, "pids.max", errors.Retryable, Reason.CHANGED_MEANWHILE, "went meanwhile"),
        (errno.ENOENT, "cgroup.subtree_control", errors.Terminal, Reason.SLICE_REFUSED, "that controller"),
        (errno.ENOSPC, "", errors.Retryable, Reason.SLICE_REFUSED, "too many cgroups"),
        (errno.EXDEV, "pids.max", errors.Retryable, Reason.SLICE_REFUSED, "pids: "),
    ],
)
def test_each_refusal_has_its_meaning(
    number: int, file: str, kind: type[errors.EffectError], reason: Reason, words: str
) -> None:
    path = f"/sys/fs/cgroup/wharf/{file}"
    found = refusals.translate(OSError(number, os.strerror(number), path))
    assert type(found) is kind
    assert found.reason is reason
    assert words in found.message
    assert f"{path}: {os.strerror(number)}" in found.message


def test_an_error_without_a_file_keeps_its_words() -> None:
    assert refusals.translate(OSError("no idea")).message == "no idea"
