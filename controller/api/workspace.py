"""What a person may ask of a workspace, and everything about it that is right or wrong in the file alone.

It applies no defaults and no policy: absent means inherit, and what is inherited is decided in planning.
"""

import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_serializer, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from controller.api import fields, meta, quantities, rules


class DesiredState(enum.StrEnum):
    """Whether the container is to run."""

    RUNNING = "Running"
    STOPPED = "Stopped"


class InitMode(enum.StrEnum):
    """Who is PID 1: the Engine's docker-init, or the image's own init."""

    ENGINE = "Engine"
    IMAGE = "Image"


class PullPolicy(enum.StrEnum):
    """When the image is asked for at its registry."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"


class GpuMode(enum.StrEnum):
    """How GPUs are given: not at all, alone, together with others, or every one of the host."""

    NONE = "None"
    EXCLUSIVE = "Exclusive"
    SHARED = "Shared"
    ALL = "All"


class MountMode(enum.StrEnum):
    """Whether the container may write through a mount."""

    READ_WRITE = "ReadWrite"
    READ_ONLY = "ReadOnly"


class Expose(enum.StrEnum):
    """How a service is reached from outside: a host port, a name at the site's proxy, or not at all."""

    PORT = "Port"
    HOSTNAME = "Hostname"
    NONE = "None"


class SecurityProfile(enum.StrEnum):
    """What the container may do to its host."""

    STANDARD = "Standard"
    DOCKER_IN_DOCKER = "DockerInDocker"
    PRIVILEGED = "Privileged"


class RunAs(enum.StrEnum):
    """Whose uid and gid the container's first process has: the owner's account, or what the image says."""

    OWNER = "Owner"
    IMAGE = "Image"


class Isolation(enum.StrEnum):
    """Whether containers of other owners can reach this one directly."""

    PRIVATE = "Private"
    OPEN = "Open"


class ChangePolicy(enum.StrEnum):
    """When a change that needs a new container happens."""

    WHEN_IDLE = "WhenIdle"
    IMMEDIATE = "Immediate"
    MANUAL = "Manual"


CONTRACT_DEFAULTS: Final[Mapping[str, object]] = MappingProxyType(
    {
        "desiredState": DesiredState.RUNNING,
        "init": InitMode.ENGINE,
        "pull": PullPolicy.IF_NOT_PRESENT,
        "resources.swap": 0,
        "resources.shm": 64 * 2**20,  # the Engine's own
        "gpu.mode": GpuMode.NONE,
        "gpu.count": 1,
        "mounts.mode": MountMode.READ_WRITE,
        "mounts.create": False,
        "mounts.required": True,
        "services.expose": Expose.PORT,
        "security.profile": SecurityProfile.STANDARD,
        "security.runAs": RunAs.OWNER,
        "network.isolation": Isolation.PRIVATE,
        "lifecycle.idleTimeout": None,
        "lifecycle.maxRuntime": None,
        "lifecycle.stopGrace": dt.timedelta(seconds=60),
        "lifecycle.changes": ChangePolicy.WHEN_IDLE,
        "lifecycle.gpuHold": dt.timedelta(minutes=15),
    }
)
"""What holds where nothing is said anywhere; keys are paths below `spec`."""


class ImageRef(meta.ApiModel):
    """Which image: by alias or by reference. A plain string in its place is what the catalog makes of it."""

    # `name` holds the plain string; nobody writes the key.

    alias: fields.Given[fields.ImageName] = Field(default=None, description="A name in the image catalog.")
    reference: fields.Given[fields.ImageName] = Field(
        default=None,
        description="A full reference: registry/name:tag@sha256:digest, tag and digest optional.",
    )
    name: fields.Given[fields.ImageName] = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _accept_text(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and "name" in value:
            raise fields.refusal("write alias or reference, or the name alone as a plain string")
        return value

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if sum(choice is not None for choice in (self.alias, self.reference, self.name)) != 1:
            raise fields.refusal("write exactly one of alias and reference")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Publish that a plain string may stand in place of the mapping."""
        reference = handler(schema)
        published = handler.resolve_ref_schema(reference)
        mapping = {**published, "minProperties": 1, "maxProperties": 1}
        mapping["properties"] = {
            key: value for key, value in published["properties"].items() if key != "name"
        }
        published.clear()
        published["anyOf"] = [{"type": "string"}, mapping]
        return reference

    @model_serializer
    def _serialize(self) -> str | dict[str, str]:
        if self.name is not None:
            return self.name
        return {"alias": self.alias} if self.alias else {"reference": self.reference or ""}


class SecretRef(meta.ApiModel):
    """One file below the secrets directory, shown to the container under /run/secrets."""

    name: rules.FileName = Field(description="Appears as /run/secrets/NAME, never in the environment.")
    file: fields.RelativeFile = Field(description="Path of the file, relative to the secrets directory.")


class Resources(meta.ApiModel):
    """Limits of one workspace's container."""

    cpus: quantities.NanoCpus | None = Field(
        default=None, description="Processors, as a decimal string; null: unlimited."
    )
    cpuset: quantities.CpuSet | None = Field(
        default=None, description='Processors by number, such as "0-7"; null: any.'
    )
    memory: rules.Memory | None = Field(default=None, description="Hard limit; null: unlimited.")
    memory_reservation: rules.Memory | None = Field(
        default=None, description="Guaranteed memory, at most `memory`; null: none."
    )
    swap: quantities.ByteSize | None = Field(
        default=None, description="Swap alone, not memory plus swap; null: unlimited."
    )
    shm: fields.Given[rules.Space] = Field(default=None, description="Size of /dev/shm.")
    pids: fields.Count | None = Field(default=None, description="Processes and threads; null: unlimited.")

    @model_validator(mode="after")
    def _reservation_fits(self) -> Self:
        if self.memory and self.memory_reservation and self.memory_reservation > self.memory:
            reserved, limit = map(quantities.format_bytes, (self.memory_reservation, self.memory))
            raise fields.refusal(f"memoryReservation ({reserved}) must be at most memory ({limit})")
        return self


class Gpu(meta.ApiModel):
    """Which GPUs a workspace wants."""

    mode: fields.Given[fields.Choice[GpuMode]] = Field(default=None, description="How GPUs are given.")
    count: fields.Given[fields.Count] = Field(default=None, description="How many GPUs or MIG slices.")
    mig_profile: rules.MigProfile | None = Field(
        default=None, description="A slice of this profile in place of a whole GPU; null: a whole GPU."
    )
    min_memory: rules.Space | None = Field(
        default=None, description="Only GPUs with at least this much memory; null: any."
    )
    model: fields.Line | None = Field(
        default=None,
        description="Only GPUs whose product name has these words, such as A100 80GB; null: any.",
    )
    uuids: fields.Given[fields.UniqueItems[rules.GpuUuid]] = Field(
        default=None, description="Only these devices; empty: no pin."
    )


class Mount(meta.ApiModel):
    """One directory of the host in the container."""

    name: fields.Label = Field(description="Unique within the workspace.")
    source: fields.AbsolutePath = Field(
        description="Directory on the host, beneath a mount root of the policy."
    )
    target: rules.MountTarget = Field(description="Directory in the container.")
    mode: fields.Given[fields.Choice[MountMode]] = Field(
        default=None, description="Read and write, or read only."
    )
    create: fields.Given[bool] = Field(
        default=None, description="Make the directory, owned by the owner, mode 0700, where it is missing."
    )
    required: fields.Given[bool] = Field(
        default=None, description="Wait while the source is missing, rather than run without it."
    )


class Service(meta.ApiModel):
    """One port on which the workspace listens."""

    name: fields.Label = Field(description="Unique within the workspace; port profiles and pools name it.")
    port: fields.Port = Field(description="Port in the container.")
    expose: fields.Given[fields.Choice[Expose]] = Field(
        default=None, description="A host port, a host name at the site's proxy, or neither."
    )
    host_port: fields.Given[fields.Port] = Field(
        default=None, description="This host port, from the owner's block or a named pool."
    )

    @model_validator(mode="after")
    def _host_port_is_published(self) -> Self:
        if self.host_port is not None and self.expose not in {None, Expose.PORT}:
            raise fields.refusal("hostPort needs expose: Port")
        return self


class Security(meta.ApiModel):
    """What the container may do, and as whom."""

    profile: fields.Given[fields.Choice[SecurityProfile]] = Field(
        default=None, description="What the container may do to its host."
    )
    run_as: fields.Given[fields.Choice[RunAs]] = Field(
        default=None,
        description="The owner's uid and gid, or the image's (for images whose init drops to the owner).",
    )


class Network(meta.ApiModel):
    """Who can reach the container directly."""

    isolation: fields.Given[fields.Choice[Isolation]] = Field(
        default=None, description="Whether containers of other owners can reach this one directly."
    )


class Lifecycle(meta.ApiModel):
    """When the workspace stops by itself, and when it is replaced."""

    idle_timeout: rules.Timeout | None = Field(
        default=None, description="Stop after this long without activity; null: never."
    )
    max_runtime: rules.Timeout | None = Field(
        default=None, description="Stop after this long, active or not; null: never."
    )
    stop_grace: fields.Given[rules.Grace] = Field(
        default=None, description="Time between the request to stop and the kill; at most 1h."
    )
    changes: fields.Given[fields.Choice[ChangePolicy]] = Field(
        default=None, description="When a change that needs a new container happens."
    )
    gpu_hold: fields.Given[rules.Timeout] = Field(
        default=None,
        description="How long its GPUs are kept for it after it has stopped; then others get them.",
    )


def _refuse_repeats(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise fields.refusal(f'{what} "{value}" is used twice')
        seen.add(value)


class Template(meta.ApiModel):
    """Everything that both a workspace and a class may say. Absent means inherit."""

    desired_state: fields.Given[fields.Choice[DesiredState]] = Field(
        default=None, description="Whether the container is to run."
    )
    image: fields.Given[ImageRef] = Field(
        default=None,
        description="The image. A plain string is an alias if the catalog has it, else a reference.",
    )
    command: fields.Given[rules.Command] = Field(
        default=None, description="Program and arguments; absent: the image's."
    )
    env: fields.Given[fields.NamedTable[rules.EnvName, fields.Text]] = Field(
        default=None, description="Environment variables; values are strings."
    )
    secrets: fields.Given[fields.Items[SecretRef]] = Field(
        default=None, description="Files shown read-only under /run/secrets."
    )
    init: fields.Given[fields.Choice[InitMode]] = Field(default=None, description="Who is PID 1.")
    pull: fields.Given[fields.Choice[PullPolicy]] = Field(
        default=None, description="When the image is asked for at its registry."
    )
    resources: fields.Given[Resources] = Field(default=None, description="Limits of the container.")
    gpu: fields.Given[Gpu] = Field(default=None, description="GPUs.")
    mounts: fields.Given[fields.Items[Mount]] = Field(default=None, description="Directories of the host.")
    services: fields.Given[fields.Items[Service]] = Field(default=None, description="Ports.")
    security: fields.Given[Security] = Field(default=None, description="Privileges and identity.")
    network: fields.Given[Network] = Field(default=None, description="Isolation.")
    lifecycle: fields.Given[Lifecycle] = Field(default=None, description="Stops and replacements.")

    @field_validator("secrets")
    @classmethod
    def _secrets_differ(cls, secrets: tuple[SecretRef, ...] | None) -> tuple[SecretRef, ...] | None:
        _refuse_repeats("the secret name", (secret.name for secret in secrets or ()))
        return secrets

    @field_validator("mounts")
    @classmethod
    def _mounts_differ(cls, mounts: tuple[Mount, ...] | None) -> tuple[Mount, ...] | None:
        _refuse_repeats("the mount name", (mount.name for mount in mounts or ()))
        _refuse_repeats("the mount target", (mount.target for mount in mounts or ()))
        return mounts

    @field_validator("services")
    @classmethod
    def _services_differ(cls, services: tuple[Service, ...] | None) -> tuple[Service, ...] | None:
        given = services or ()
        _refuse_repeats("the service name", (service.name for service in given))
        _refuse_repeats("the hostPort", (service.host_port for service in given if service.host_port))
        return services


class WorkspaceSpec(Template):
    """What one workspace shall be."""

    owner: fields.Given[fields.Login] = Field(
        default=None, description="Login name; absent: metadata.name. It cannot be changed later."
    )
    class_name: fields.Given[fields.Label] = Field(
        default=None, alias="class", description="A preset of the policy; absent: the policy's default class."
    )
    uid: fields.Given[rules.Uid] = Field(
        default=None, description="The owner's user id, in place of what the host's accounts say."
    )
    gid: fields.Given[rules.Uid] = Field(default=None, description="The owner's group id, likewise.")

    @model_validator(mode="after")
    def _ids_together(self) -> Self:
        if (self.uid is None) != (self.gid is None):
            raise fields.refusal("uid and gid belong together; write both or neither")
        return self

    @field_validator("image", "mounts", "secrets")
    @classmethod
    def _no_placeholders(cls, value: object) -> object:
        text = str(value)
        for placeholder in fields.PLACEHOLDERS:
            if placeholder in text:
                raise fields.refusal(f"{placeholder} is replaced in classes of the policy only; write it out")
        return value


class Workspace(meta.ApiModel):
    """One user's container, as it shall be."""

    api_version: Literal["wharfinger.dev/v1"] = Field(description="The version of this format.")
    kind: Literal["Workspace"] = Field(description="The kind of this document.")
    metadata: meta.ObjectMeta = Field(description="Who it is.")
    spec: WorkspaceSpec = Field(description="What it shall be.")
