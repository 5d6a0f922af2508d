"""Knows what errors of systemd's manager mean: one table from their D-Bus names to our two errors.

Refuses to guess: what no row knows is told in systemd's own words. The names were seen on systemd 257.
"""

from dataclasses import dataclass
from typing import Final

from controller.api.conditions import Reason
from controller.model import errors
from controller.slices import bus

NO_SUCH_UNIT: Final = "org.freedesktop.systemd1.NoSuchUnit"
UNIT_EXISTS: Final = "org.freedesktop.systemd1.UnitExists"
_SYSTEMD: Final = "org.freedesktop.systemd1."
_BUS: Final = "org.freedesktop.DBus.Error."


@dataclass(frozen=True, slots=True)
class Row:
    """One known case.

    Attributes:
        name: of the error.
        meaning: for people, before the error's own words.
        terminal: the host must change first.
    """

    name: str
    meaning: str
    reason: Reason = Reason.SLICE_REFUSED
    terminal: bool = False


_BUSY: Final = "systemd starts or stops it, or what is in it, at the moment"
TABLE: Final[tuple[Row, ...]] = (
    Row(NO_SUCH_UNIT, "the slice is gone", Reason.CHANGED_MEANWHILE),
    Row(UNIT_EXISTS, "the slice came meanwhile", Reason.CHANGED_MEANWHILE),
    Row(f"{_SYSTEMD}TransactionIsDestructive", _BUSY),
    Row(f"{_SYSTEMD}TransactionJobsConflicting", _BUSY),
    Row(f"{_SYSTEMD}UnitMasked", "somebody masked it", terminal=True),
    Row(f"{_SYSTEMD}BadUnitSetting", "somebody's unit file for it is wrong", terminal=True),
    Row(f"{_SYSTEMD}LoadFailed", "somebody's unit file for it cannot be read", terminal=True),
    Row(f"{_SYSTEMD}ShuttingDown", "the host shuts down"),
    Row(f"{_BUS}AccessDenied", "the controller may not; it must be root", terminal=True),
    Row(f"{_BUS}AuthFailed", "the controller may not; it must be root", terminal=True),
    Row(f"{_BUS}InteractiveAuthorizationRequired", "the controller may not; it must be root", terminal=True),
    Row(f"{_BUS}InvalidArgs", "systemd takes no such value", terminal=True),
    Row(f"{_BUS}PropertyReadOnly", "this systemd does not know the property", terminal=True),
    Row(f"{_BUS}UnknownMethod", "this systemd does not know the call", terminal=True),
    Row(f"{_BUS}ServiceUnknown", "no systemd is on the bus"),
    Row(f"{_BUS}NameHasNoOwner", "no systemd is on the bus"),
    Row(f"{_BUS}LimitsExceeded", "systemd, or the bus, has too much to do"),
    Row(f"{_BUS}NoReply", "systemd did not answer the bus", Reason.OUTCOME_UNKNOWN),
    Row(f"{_BUS}Timeout", "systemd did not answer the bus", Reason.OUTCOME_UNKNOWN),
    Row(f"{_BUS}TimedOut", "systemd did not answer the bus", Reason.OUTCOME_UNKNOWN),
    Row(f"{_BUS}Disconnected", "the bus lost systemd", Reason.OUTCOME_UNKNOWN),
)
_UNKNOWN: Final = Row("", "systemd refuses")


def translate(unit: str, error: bus.Refused | bus.Unanswered) -> errors.EffectError:
    """Return the error that this one stands for; the caller raises it from this one."""
    if isinstance(error, bus.Unanswered):
        reason = Reason.OUTCOME_UNKNOWN if error.taken else Reason.SLICE_REFUSED
        return errors.Retryable(reason, f"{unit}: {error.text}")
    row = next((row for row in TABLE if row.name == error.name), _UNKNOWN)
    message = f"{unit}: {row.meaning}: {error.text} ({error.name})"
    return (errors.Terminal if row.terminal else errors.Retryable)(row.reason, message)
