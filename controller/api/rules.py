"""The rules on single values of a workspace: sizes that make sense, paths to mount, names to set.

It knows one value at a time; rules between several values belong to the structure that holds them.
"""

import datetime as dt
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from controller.api import fields, quantities

MIN_MEMORY: Final = 6 * 2**20
MAX_STOP_GRACE: Final = dt.timedelta(hours=1)
MAX_UID: Final = 2**32 - 2
"""The highest user or group id; one more means "no change" to the kernel, see chown(2)."""
_CONTROLLERS_ENV: Final = "WHARF_"
_GPU_ENV: Final = "NVIDIA_VISIBLE_DEVICES"
_ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_FILE_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_MIG_PROFILE = r"(?:[0-9]+c\.)?[0-9]+g\.[0-9]+gb(?:[+-][a-z0-9.]+)*"
_GPU_UUID = r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._:/=-]*"
_RESERVED_TARGETS = ("/run/secrets", "/proc", "/sys", "/dev")
_SECRETS_PARENTS = ("/", "/run")


def _check_memory(value: int) -> int:
    if value < MIN_MEMORY:
        raise fields.refusal(
            f'{quantities.format_bytes(value)} is too little; the Engine wants at least "6m"'
        )
    return value


def _check_positive(value: int) -> int:
    if value <= 0:
        raise fields.refusal('this must be more than "0b"')
    return value


def _check_time(value: dt.timedelta) -> dt.timedelta:
    if not value:
        raise fields.refusal('this must be more than "0s"; write null for never')
    return value


def _check_grace(value: dt.timedelta) -> dt.timedelta:
    if value > MAX_STOP_GRACE:
        raise fields.refusal('this must be at most "1h"')
    return value


def _check_target(path: str) -> str:
    if path in _SECRETS_PARENTS:
        raise fields.refusal(f'"{path}" cannot be a mount target; name a directory below it')
    for reserved in _RESERVED_TARGETS:
        if path == reserved or path.startswith(f"{reserved}/"):
            raise fields.refusal(
                f'"{path}" cannot be a mount target; {reserved} belongs to the controller and the Engine'
            )
    return path


def _check_env_name(name: str) -> str:
    if name == _GPU_ENV:
        raise fields.refusal(f"{_GPU_ENV} is set by the controller; ask for GPUs under gpu")
    if name.startswith(_CONTROLLERS_ENV):
        raise fields.refusal(
            f"names that begin with {_CONTROLLERS_ENV} are set by the controller; choose another"
        )
    return name


def _check_command(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words:
        raise fields.refusal("name a program, or leave the key out for the image's own")
    return words


Command = Annotated[
    fields.Items[fields.Text], AfterValidator(_check_command), Field(json_schema_extra={"minItems": 1})
]
Memory = Annotated[quantities.ByteSize, AfterValidator(_check_memory)]
Space = Annotated[quantities.ByteSize, AfterValidator(_check_positive)]
Timeout = Annotated[quantities.Duration, AfterValidator(_check_time)]
Grace = Annotated[quantities.Duration, AfterValidator(_check_grace)]
MountTarget = Annotated[fields.AbsolutePath, AfterValidator(_check_target)]
EnvName = Annotated[
    fields.Text,
    AfterValidator(
        fields.matching(_ENV_NAME, "a name for the environment (letters, digits and _, no digit first)")
    ),
    AfterValidator(_check_env_name),
]
Uid = Annotated[int, Field(ge=0, le=MAX_UID)]
FileName = Annotated[
    fields.Text,
    AfterValidator(fields.matching(_FILE_NAME, "a file name of letters, digits, dots, dashes and _")),
    Field(max_length=64),
]
MigProfile = Annotated[
    fields.Text, AfterValidator(fields.matching(_MIG_PROFILE, "a MIG profile, such as 1g.10gb"))
]
GpuUuid = Annotated[
    fields.Text,
    AfterValidator(
        fields.matching(
            _GPU_UUID, "the UUID of a device, such as GPU-8f2e..., and no index; see `wharf get gpus`"
        )
    ),
]
