"""The closed list of reasons: why a workspace is as it is, in one word for machines.

Refuses free text. Each reason's docstring answers three things: what happened, whether it is retried, what a
person should do. The reference page is generated from them.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a verdict, a condition, an event or an outcome is what it is."""

    # verdicts without actions
    AS_SPECIFIED = "AsSpecified"
    """The container is as its spec says. Nothing is retried. Nothing to do."""
    STOPPED = "Stopped"
    """The spec says Stopped and the workspace is. Nothing is retried. Set `desiredState: Running` to start
    it."""
    STOPPED_BY_REQUEST = "StoppedByRequest"
    """A person stopped it with `wharf stop`. Nothing is retried. `wharf start NAME` starts it."""
    IN_PROGRESS = "InProgress"
    """Actions for this workspace are under way. The next pass looks again. Wait."""
    CHANGE_PENDING = "ChangePending"
    """A change needs a new container and waits for its time (`lifecycle.changes`). It happens when the
    workspace is stopped. `wharf approve NAME` or `wharf restart NAME` lets it happen now."""
    CONFIRMING = "Confirming"
    """A change that disturbs a running workspace waits until its file has read the same for 5 s. It happens
    by itself. End the file with the line `...` to skip the wait."""
    CRASH_LOOP = "CrashLoop"
    """The container exits soon after each start. It is started again with growing delays, 10 s to 5 min.
    Read `wharf logs NAME` and mend the image, the command or the mounts."""
    BACKING_OFF = "BackingOff"
    """The last attempt failed. It is repeated with growing delays. Read the message of the last failure."""
    NETWORK_PENDING = "NetworkPending"
    """The workspace network is not there yet. It is made and the workspace follows. Wait."""
    IMAGE_PENDING = "ImagePending"
    """The image is being pulled. The workspace follows. Wait."""
    CONTAINER_BUSY = "ContainerBusy"
    """The Engine is removing or restarting the container. The next pass looks again. Wait; if it lasts,
    look at the Engine's log."""
    DELETION_GRACE = "DeletionGrace"
    """The spec is gone and must stay gone for a second complete scan. It is removed after the grace. Put
    the file back if that was not meant."""

    SLICE_PENDING = "SlicePending"
    """The slice of the owner is not there yet, or does not have its limits. It is made, read back, and the
    workspace follows. Wait; if it lasts, the message says what the kernel has instead."""
    LIMIT_UNENFORCEABLE = "LimitUnenforceable"
    """The policy limits what the owner's workspaces use together, and this kernel cannot. None of theirs
    is started, what runs goes on. It is tried again. Read the message; enable it, or drop the limit."""
    MEMORY_PROMISED = "MemoryPromised"
    """With this workspace more memory would be guaranteed (`memoryReservation`) than the host has. It starts
    when others stop. Ask for a smaller reservation."""
    GPU_QUEUED = "GpuQueued"
    """All devices that would do are held by others. It starts when its turn comes: the message says its
    place, what it waits for and who holds that. Wait, ask for less under `gpu`, or ask the holder."""
    OWN_GPU_BUSY = "OwnGPUBusy"
    """The stopped container can only have the devices that it was made with, and somebody else has one of
    them, or it is out of use. It starts when they can be had. Wait, or `wharf approve NAME`: it is made anew
    with other devices, and the container that is there is kept."""
    GPU_CONTENDED = "GpuContended"
    """The container was made for devices that somebody else claimed at the same time. It is not started; it
    is removed, having never run, and another one is made when devices can be had. Nothing to do."""
    GPU_DRIVER_MISMATCH = "GpuDriverMismatch"
    """The driver in the kernel and the driver's library are of different versions, as after an upgrade. What
    runs goes on, nothing with GPUs is started. It is tried again. Reboot the host, or reload the driver."""
    GPU_ACCESS_LOST = "GpuAccessLost"
    """A running container cannot open its GPU any more though the device is well; a daemon-reload or `docker
    update` takes it away. It gets it back at its next start. `wharf approve NAME` restarts it at once."""

    PACED = "Paced"
    """The change stops a running workspace and only so many are stopped a minute. It happens when its turn
    comes. Wait."""
    ROLLING_BACK = "RollingBack"
    """A kept container is being put back. It is carried on. Wait."""
    PROVING = "Proving"
    """The new container of a replacement runs; it must run for 10 s and pass its health check before the
    replacement counts. It is looked at again. Wait."""
    PINNED = "Pinned"
    """The container was rolled back by a person and stays as it is. Nothing is retried. Edit the spec, or
    `wharf approve NAME`, to have it replaced again."""

    # holds: a person or the host must do something
    BUDGET_EXCEEDED = "BudgetExceeded"
    """One cause would stop more running workspaces than `safety.maxDisruptionsPercent` allows. It is held.
    Look at `wharf plan`, then `wharf approve NAME` or `wharf approve --all`, or undo the edit."""
    REPLACEMENT_FAILED = "ReplacementFailed"
    """The new container could not be started, ended at once or was unhealthy, so the old one was put back.
    It is not tried again until the spec or the image changes, or `wharf restart NAME`. Read the message and
    the log."""
    PAUSED = "Paused"
    """A person paused the host or the workspace. Nothing is done until `wharf resume`. Resume it."""
    OBSERVE_MODE = "ObserveMode"
    """The controller only observes. Nothing is done. Set `mode: Enforce` to let it act."""
    SPEC_REJECTED = "SpecRejected"
    """The spec file is not valid and none was accepted before. It is read again when it changes. Mend the
    file: the message names file, line and column."""
    SPEC_CONFLICT = "SpecConflict"
    """Two files declare the same workspace. The running one stays as it is. Remove one of the files."""
    SPECS_UNREADABLE = "SpecsUnreadable"
    """The spec directory cannot be read as a whole. What runs goes on, on its last accepted specs. Bring
    the directory back."""
    REMOVALS_HELD = "RemovalsHeld"
    """More specs vanished at once than the budget allows, or the directory was replaced. Nothing is
    removed. Put the files back, or `wharf approve NAME` for each that shall go."""
    OWNER_CHANGED = "OwnerChanged"
    """`spec.owner` was edited, but an owner is for life. Nothing is done. Put the owner back, or make a new
    workspace under another name."""
    NOT_SUPPORTED = "NotSupported"
    """The spec asks for something that this version cannot do safely. Nothing is done. Remove the field
    that the message names, or use a version that supports it."""
    POLICY_REJECTED = "PolicyRejected"
    """The policy or the catalog is not valid and none was accepted before. It is read again when it
    changes. Mend the file."""
    CLASS_UNKNOWN = "ClassUnknown"
    """The spec's class is not in the policy. It is tried again when either changes. Correct the name or add
    the class."""
    IMAGE_UNKNOWN = "ImageUnknown"
    """The spec names no image, or one that the catalog lacks. It is tried again when either changes. Correct
    the alias or add it to the catalog."""
    IMAGE_NOT_APPROVED = "ImageNotApproved"
    """The catalog has the image, but it is not approved or failed its scan. It is tried again when either
    changes. Use another image, or ask the administrator to approve it."""
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    """The image is not on this host and could not be pulled. It is tried again with growing delays. Correct
    the reference, or bring the registry back, or load the image by hand."""
    ACCOUNT_UNKNOWN = "AccountUnknown"
    """The host does not know the owner and the workspace needs a uid or a home. It is tried again. Create the
    account, or give the user a uid, gid and home in the policy, or set `security.runAs: Image`."""
    ACCOUNT_GONE = "AccountGone"
    """The host no longer has the owner's account. What runs goes on, nothing is started. It is tried again.
    Create the account with its uid, or give the user a uid and gid in the policy, or remove the spec."""
    ACCOUNT_CHANGED = "AccountChanged"
    """The owner's account has another uid than it had at first. What runs goes on, nothing is started. It is
    tried again. Put the uid back, or say in the spec or in the policy which uid and gid count."""
    NAME_SERVICE_SILENT = "NameServiceSilent"
    """The host's name service fails or does not answer. What it told before counts. It is asked again. Look
    at the directory server, or at the log of sssd, nslcd or winbind."""
    SECRET_UNAVAILABLE = "SecretUnavailable"  # noqa: S105 - a reason, not a password
    """A secret's file is missing or unsafe. It is tried again. Put the file below the secrets directory,
    owned by root with mode 0600."""
    MOUNT_OUTSIDE_ROOTS = "MountOutsideRoots"
    """A mount's source lies beneath none of the policy's `mountRoots`. It is tried again when either
    changes. Correct the source, or add the root."""
    MOUNT_FORBIDDEN = "MountForbidden"
    """A mount's source is, holds or lies in the Engine's socket or a directory of the controller's own: with
    that a container would be root on the host. It is tried again when either changes. Name another
    directory; no policy allows this one."""
    MOUNT_UNSAFE = "MountUnsafe"
    """A directory above a mount's source can be swapped by others than root, or is a link. It is tried
    again. Change its owner and mode as the message says."""
    MOUNT_MISSING = "MountMissing"
    """A mount's source does not exist. It is tried again. Mount the file system, or set `create: true`."""
    AMBIGUOUS_GROUP = "AmbiguousGroup"
    """The owner is in two groups of the policy and `groupOrder` does not decide. Nothing is done. Add
    `groupOrder`, or take the owner out of one group."""
    USER_AT_LIMIT = "UserAtLimit"
    """The owner has as many workspaces, or as many that run, as the policy allows. It is tried again when
    that changes. Stop or delete another one of them, or ask for a larger quota."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """With this workspace the owner's running ones would have more together than the policy allows. It is
    tried again when that changes. Ask for less, stop another one of them, or ask for a larger quota."""
    GROUP_UNSEEN = "GroupUnseen"
    """The members of a group could not be read yet and the owner may be one of them. What runs stays as it
    is. It is tried again. Bring the group's file or the name service back."""
    PRIVILEGE_REFUSED = "PrivilegeRefused"
    """The security profile asks for more than the owner may have: the policy's `privileged` does not name
    them (any more), or it names no `dockerInDockerRuntime`. What runs goes on; it is tried again when either
    changes. Use profile Standard, or ask the administrator."""
    PRIVILEGED_SHARES_GPUS = "PrivilegedSharesGpus"
    """A privileged container sees every GPU of the host, so none can be promised to it alone or kept from
    it. Nothing is done. Use another `gpu.mode`, or profile Standard."""
    GPU_MODE_REFUSED = "GpuModeRefused"
    """The workspace asks for all GPUs of the host, and the policy's `gpus.allowAll` does not name its owner
    (any more). What runs goes on; it is tried again when the policy changes. Use another `gpu.mode`, or ask
    the administrator."""
    GPU_UNAVAILABLE = "GpuUnavailable"
    """No device of this host could ever be what the workspace asks for, whoever leaves. It is tried again
    when devices come or go. Ask for less under `gpu`, or for another model."""
    RUNTIME_MISSING = "RuntimeMissing"
    """The Engine lacks the runtime that the policy's `dockerInDockerRuntime` names. It is tried again.
    Install it and enter it under `runtimes` of the Engine's configuration, or name one that is there."""
    PORT_OUTSIDE_POOL = "PortOutsidePool"
    """A service's `hostPort` lies neither in the owner's block nor in a pool for that service. It is tried
    again when either changes. Name another port, or none."""
    ORPHANED = "Orphaned"
    """A container of ours has no spec and the ledger knows none. It is reported and left alone. Put its
    spec back, or remove it by hand."""
    PORT_POOL_EXHAUSTED = "PortPoolExhausted"
    """No port is left in the pool or the owner's block. It is tried again. Enlarge the pool, or free a
    workspace."""
    PORT_TAKEN = "PortTaken"
    """Another process listens on a port of this workspace. It is tried again. End that process, or name
    another `hostPort`."""
    NAME_TAKEN = "NameTaken"
    """A container that is not ours has the workspace's container name. It is left alone. Rename or remove
    it, or make it ours with `wharf adopt NAME`."""
    ENGINE_UNAVAILABLE = "EngineUnavailable"
    """The Docker Engine does not answer. It is asked again all the time. Look at the Engine's service and
    log."""
    LEDGER_UNAVAILABLE = "LedgerUnavailable"
    """The ledger cannot be read or written. Nothing is changed until it can. Look at the disk of the state
    directory."""
    DISK_PRESSURE = "DiskPressure"
    """The disk of the Engine is fuller than `disk.highWatermark`. Nothing is pulled and no container is made
    until there is room; what runs, and starts of containers that are there, go on. Make room: `wharf gc`,
    `wharf get retained`."""
    NETWORK_UNUSABLE = "NetworkUnusable"
    """The network of the workspaces exists with other settings, or cannot be made. Nothing is started on
    it. Remove the network, or change `network.subnet`."""

    # verdicts with actions
    CONTAINER_MISSING = "ContainerMissing"
    """There is no container. One is created. Nothing to do."""
    IMAGE_MISSING = "ImageMissing"
    """The image is not on this host. It is pulled. Nothing to do."""
    IMAGE_ASKED = "ImageAsked"
    """With `pull: Always` a registry is asked at most every ten minutes whether a tag has moved. A moved one
    is pulled. Nothing to do."""
    FIRST_START = "FirstStart"
    """The container was created and never ran. It is started. Nothing to do."""
    GPU_RELEASED = "GpuReleased"
    """A container that never ran claims devices and is not to be started. It is removed, so that others can
    have them. Nothing to do; another one is made when it is wanted."""
    CONTAINER_EXITED = "ContainerExited"
    """The container does not run though its spec says so. It is started again. Nothing to do; to stop it
    for good use `wharf stop NAME`."""
    CONTAINER_PAUSED = "ContainerPaused"
    """Somebody froze the container with `docker pause`. It is thawed. Nothing to do."""
    DRIFTED = "Drifted"
    """The container differs in something that can be changed while it runs. It is changed. Nothing to
    do."""
    SPEC_CHANGED = "SpecChanged"
    """The spec changed in something that needs a new container. The container is replaced and the old one
    kept. Nothing to do."""
    REPLACEMENT_UNDER_WAY = "ReplacementUnderWay"
    """A replacement is half done. It is carried on. Nothing to do."""
    SPEC_STOPPED = "SpecStopped"
    """The spec, or a person's request, says Stopped. The container is stopped. Nothing to do."""
    SPEC_REMOVED = "SpecRemoved"
    """The spec is gone. The container is stopped and kept. Nothing to do; put the file back to have it
    again."""
    OVER_QUOTA = "OverQuota"
    """It runs with more than the policy allows by now. It goes on, and the policy applies at its next start;
    where the policy says `enforce: Now` it is stopped. Read the message; ask for a larger quota if it must
    stay."""
    RESTART_REQUESTED = "RestartRequested"
    """A person asked for a restart. The container is stopped and started. Nothing to do."""
    PORTS_NEEDED = "PortsNeeded"
    """The workspace needs host ports. They are granted and written to the ledger. Nothing to do."""
    PORTS_RETURNED = "PortsReturned"
    """A workspace no longer has a service and no container of it publishes the service's host port. The port
    is given back. Nothing to do."""
    RETURNED = "Returned"
    """The spec came back and its kept container is put back under its name. Nothing to do."""

    FORGET_REQUESTED = "ForgetRequested"
    """A person asked to remove a kept container. It is removed, its volumes excepted. Nothing to do."""
    IMAGE_UNUSED = "ImageUnused"
    """A person asked for room on the Engine's disk, and nothing uses the image. It is removed. Nothing to do;
    it is pulled again when somebody asks for it."""
    RETENTION_OVER = "RetentionOver"
    """A kept container is old and its writable layer holds nothing but logs and caches. It is removed.
    Nothing to do; others stay until `wharf forget NAME`."""
    ROLLBACK_REQUESTED = "RollbackRequested"
    """A person asked for the kept container. It is put back and pinned. Nothing to do."""

    SLICE_DRIFTED = "SliceDrifted"
    """The limits of an owner's slice are not those of the policy. They are set and read back. Nothing
    to do."""
    SLICE_EMPTY = "SliceEmpty"
    """Nothing of an owner runs or is to run. The owner's slice is removed. Nothing to do."""

    # outcomes
    EXECUTED = "Executed"
    """The call succeeded."""
    ALREADY_SO = "AlreadySo"
    """The call found its work done. That is success."""
    CHANGED_MEANWHILE = "ChangedMeanwhile"
    """The object was not as expected any more, so nothing was done. The next pass looks again. Nothing to
    do."""
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    """The Engine did not answer in time, or answered with an internal error; the call may have happened.
    The next pass looks before anything is repeated. If it lasts, look at the Engine's log."""
    REFUSED_BY_ENGINE = "RefusedByEngine"
    """The Engine refused the call. It is tried again with growing delays. Read the message."""
    SLICE_REFUSED = "SliceRefused"
    """The kernel or systemd refused to make, change or remove a slice, or does not answer. It is tried again
    with growing delays. Read the message; `wharf check` tells what the host can."""
    NOT_APPLIED = "NotApplied"
    """The Engine answered success, but the kernel has another value. It is tried again. Read the message;
    the host may lack that controller."""
    INTERNAL_ERROR = "InternalError"
    """A defect in the controller. The workspace is tried again with growing delays. Report the log's
    traceback."""
    GPU_NOT_ATTACHED = "GpuNotAttached"
    """The Engine could not give the container its GPU: it has no driver for that, does not know the device,
    or NVIDIA's hook failed. It is tried again with growing delays. Read the message: describe the devices
    with `nvidia-ctk cdi generate`, install the NVIDIA Container Toolkit, or choose the other way in
    `gpus.attach`."""

    # conditions and events beyond the above
    GPU_UNHEALTHY = "GpuUnhealthy"
    """A device of the workspace is out of use because of a fault. What runs on it goes on, and nobody gets it
    anew until the fault is gone for `gpus.cleanAfter`. Save your work; `wharf restart NAME` and then `wharf
    approve NAME` make it anew with another device."""
    GPUS_GRANTED = "GpusGranted"
    """The workspace has all GPUs that it asks for. Nothing to do."""
    GPU_FENCED = "GpuFenced"
    """A device has a fault and is out of use by itself; what runs on it goes on. It is granted again once the
    fault is gone for `gpus.cleanAfter`. Read the message; reset or replace the device if it stays."""
    GPU_UNFENCED = "GpuUnfenced"
    """A device was without a fault for `gpus.cleanAfter` and is granted again. Nothing to do."""
    GPU_CORDONED = "GpuCordoned"
    """A person took a device out of use; what runs on it goes on. It is granted again after `wharf uncordon
    gpu UUID`."""
    GPU_UNCORDONED = "GpuUncordoned"
    """A person put a device back into use. It is granted again. Nothing to do."""
    GPU_DRAINING = "GpuDraining"
    """A person asks those who have a device to leave it. Nothing is stopped for that, and nobody gets it
    anew. Save your work and stop the workspace, or `wharf restart NAME` and then `wharf approve NAME`: it is
    made anew with another device."""
    UPDATE_WAITS = "UpdateWaits"
    """Something differs that the Engine could update while a container runs, but a hook gave this one its
    GPUs, and an update would take them away. It is set at its next start. Nothing to do."""
    LIMIT_NOT_ENFORCED = "LimitNotEnforced"
    """A limit on the owner's workspaces together has no effect on this kernel, or not on this container. The
    workspace runs without it. Nothing is retried. Read the message; `wharf check` tells what the host can."""
    MEMORY_LOWERING = "MemoryLowering"
    """A lower memory limit is below what is in use, and setting it would kill. Memory is reclaimed as far as
    this kernel can, and the limit follows once use has fallen, or at the next start. Free memory."""
    SLICE_STRANGER = "SliceStranger"
    """Something that is no container of ours is in an owner's slice, and counts there. It is left alone. Look
    who put it there."""
    SLICE_CONTESTED = "SliceContested"
    """The limits of a slice were changed again and again after they were set. They are set each time. Find
    out who changes them."""
    GPU_CONFLICT = "GpuConflict"
    """Somebody else uses a device that is held by this workspace alone. Nobody is stopped for it. Look at
    `wharf get gpus`, and ask who it is."""
    GPU_FOREIGN_USE = "GpuForeignUse"
    """A container or a process that is not ours uses a device. It is given to nobody meanwhile. Look at
    `wharf get gpus --foreign`."""
    NOT_YET_LISTENING = "NotYetListening"
    """The container runs and a declared service does not listen. It is looked at again. Read `wharf logs
    NAME`."""
    UNHEALTHY = "Unhealthy"
    """The image's health check fails. It is looked at again. Read `wharf logs NAME`."""
    STARTING = "Starting"
    """The image's health check has not passed yet. It is looked at again. Wait."""
    NOT_ENFORCED = "NotEnforced"
    """A field is accepted and has no effect in this version; the workspace runs without it. Nothing is
    retried. Remove the field if that matters."""
    IMAGE_DEPRECATED = "ImageDeprecated"
    """The catalog says that the image should not be used any more; it still works. Nothing is retried. Use
    the successor that the message names."""
    IMAGE_WANTS_GPU = "ImageWantsGpu"
    """The image is of use only with a GPU and the workspace has none; it works all the same. Nothing is
    retried. Set `gpu`, or use another image."""
    HOSTNAME_TAKEN = "HostnameTaken"
    """An older workspace has the host name and path that a service of this one would have at the proxy; the
    workspace runs without it. It is looked at again when specs or policy change. Give the service another
    name, or change `hostnames` of the policy."""
    ROUTE_CHANGED = "RouteChanged"
    """What leads from the site's proxy to a workspace is missing, leads elsewhere, or is wanted no more. Its
    document is written or removed. Nothing to do."""
    PROXY_UNAVAILABLE = "ProxyUnavailable"
    """The directory of the site's proxy, `proxy.directory`, cannot be read or written. Workspaces run on, and
    names behind the proxy stay as they were. It is tried again all the time. Mend the directory; `wharf
    check` says what is wrong with it."""
    APPROVED = "Approved"
    """A person let a change go that was held or waited for its time. It is made, at the pace of
    `safety.maxDisruptionsPerMinute`. Nothing to do."""
    ADOPTED = "Adopted"
    """A person declared a container ours. From the next pass on it is kept as its spec says. Nothing to
    do."""
    STORAGE_HIGH = "StorageHigh"
    """The container's layer and log, or the owner's home, are larger than `storage` of the policy says.
    Nothing is stopped for it. Remove what is not needed, or move it; the message has the numbers."""
    ACCEPTED = "Accepted"
    """The file on disk is the spec in force. Nothing to do."""
    SETTLING = "Settling"
    """The file was changed a moment ago and must read the same twice. It is read again at once. Wait."""
    NOT_SEEN = "NotSeen"
    """That part of the world could not be looked at. It is looked at again. See the message."""
    GRANT_OVER = "GrantOver"
    """A grant, an exception or a privilege of the policy has ended; it has no effect any more. Nothing is
    retried. Take it out of the policy, or write a later time."""
    FOREIGN_CONTAINER = "ForeignContainer"
    """A container carries our labels without a valid claim. It is reported and never touched. Remove it if
    you do not know it."""
