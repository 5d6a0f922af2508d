"""What root in a container of profile Standard can do, and what fails without each of its capabilities."""

from collections.abc import Callable
from typing import Any

from controller.engine import templates
from controller.planning import security
from tests.support import dockerd as dockerd_support
from tests.support import engine_actions as act

STANDARD = frozenset(security.CAPABILITIES)
NOT_PROBED = frozenset({"AUDIT_WRITE"})
"""Only a program that writes to the kernel's audit log can tell, and the sample image has none."""
OTHERS = """
echo > /tmp/mode; echo > /tmp/private; chmod 600 /tmp/private
sleep 600 > /dev/null 2>&1 & echo $! > /tmp/sleeper
"""
"""What another account leaves behind."""
PROBES = """
fails() { name=$1; shift; "$@" > /dev/null 2>&1 || echo "$name"; }
box=/bin/busybox; touch /given /group
setgid_stays() { $box chgrp 65534 /group && chmod 2755 /group && [ "$(stat -c %a /group)" = 2755 ]; }
fails CHOWN chown 65534 /given
fails DAC_OVERRIDE cat /tmp/private
fails FOWNER chmod 640 /tmp/mode
fails FSETID setgid_stays
fails KILL kill "$(cat /tmp/sleeper)"
fails NET_BIND_SERVICE httpd -p 80
fails SETGID $box start-stop-daemon -S -c root:nogroup -x /bin/true
fails SETUID $box start-stop-daemon -S -c nobody -x /bin/true
fails SYS_CHROOT $box chroot / /bin/true
fails MKNOD mknod /node c 1 3
"""


def started(engine: dockerd_support.Dockerd, capabilities: tuple[str, ...]) -> Callable[..., str]:
    """A way to run scripts in a container of a template with these, where ports below 1024 are root's."""
    client: Any = engine.client()  # its types do not know every field
    body: Any = templates.render_container(act.create(capabilities=capabilities))
    body["HostConfig"]["Sysctls"] = {"net.ipv4.ip_unprivileged_port_start": "1024"}
    made = client.create_container_from_config(body)["Id"]
    client.start(made)

    def run(script: str, user: str = "") -> str:
        task = client.exec_create(made, ["/bin/sh", "-c", script], user=user)["Id"]
        return str(client.exec_start(task).decode())

    return run


def failing(engine: dockerd_support.Dockerd, capabilities: tuple[str, ...]) -> set[str]:
    """Which probes of root fail in a container that has these and no others."""
    run = started(engine, capabilities)
    assert run(OTHERS, user="65534") == ""
    return set(run(PROBES).split())


def test_root_can_do_in_a_container_what_a_login_with_sudo_needs(engine: dockerd_support.Dockerd) -> None:
    assert failing(engine, tuple(STANDARD)) == {"MKNOD"}


def test_root_without_capabilities_can_do_none_of_it(engine: dockerd_support.Dockerd) -> None:
    assert failing(engine, ()) == {"MKNOD"} | STANDARD - NOT_PROBED


def test_system_calls_are_filtered_and_set_user_id_programs_work(engine: dockerd_support.Dockerd) -> None:
    said = started(engine, tuple(STANDARD))("cat /proc/self/status").splitlines()
    status = dict(line.split(":", 1) for line in said)
    assert (status["Seccomp"].strip(), status["NoNewPrivs"].strip()) == ("2", "0")
