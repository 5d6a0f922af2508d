"""Runs the tests of this folder in guests, one after another: `python -m tests.systemd [--vm qemu]`.

It knows which set-ups there are and what a run of pytest left. It refuses to call a run good in which no test
was run, or any was skipped. Other arguments are pytest's.
"""

import argparse
import sys
import xml.etree.ElementTree as ET

from deploy.dev import guest, host

DEADLINES = {"uml": 1500.0, "qemu": 3600.0}
"""Seconds for the tests of one set-up."""
RESULT = "result.xml"
PYTEST = ("python3", "-m", "pytest", "-m", "systemd", "-p", "no:cacheprovider")


def play(setup: guest.Setup, options: list[str]) -> tuple[bool, str]:
    """The tests in one guest: whether all is well, and the line that says so."""
    argv = [*PYTEST, f"--junitxml=/job/{RESULT}", *(options or ["tests/systemd"])]
    outcome = guest.run(setup, argv, {"WHARF_GUEST": setup.name}, DEADLINES[setup.vm])
    where = f"see {outcome.folder}"
    if outcome.booted is None:
        return False, f"did not boot; {where}"
    booted = f"booted in {outcome.booted:.1f} s"
    if outcome.code is None:
        return False, f"{booted}, did not end; {where}"
    ran, bad, seconds = _counts(outcome)
    line = f"{booted}, {ran} tests in {seconds:.0f} s, {bad} not well"
    good = outcome.code == 0 and ran > 0 and bad == 0
    return good, line if good else f"{line}, exit code {outcome.code}; {where}"


def _counts(outcome: guest.Outcome) -> tuple[int, int, float]:
    """How many tests were run, how many of them failed or were skipped, and the seconds that they took."""
    try:
        suite = ET.parse(outcome.folder / RESULT).getroot().find("testsuite")
    except (OSError, ET.ParseError):
        return 0, 0, 0.0
    if suite is None:
        return 0, 0, 0.0
    bad = sum(int(suite.get(kind, "0")) for kind in ("failures", "errors", "skipped"))
    return int(suite.get("tests", "0")), bad, float(suite.get("time", "0"))


def main() -> int:
    """All set-ups, or those named; 0 if all is well in each, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.systemd",
        description="Tests in guests. Other arguments are pytest's.",
        allow_abbrev=False,
    )
    parser.add_argument("--vm", choices=("uml", "qemu"), default="uml", help="default: %(default)s")
    parser.add_argument(
        "--setup", action="append", choices=[*guest.SETUPS], help="default: all of that kind of machine"
    )
    arguments, options = parser.parse_known_args()
    lines, all_good = [], True
    for name in arguments.setup or [name for name, one in guest.SETUPS.items() if one.vm == arguments.vm]:
        print(f"\n--- {name}", flush=True)
        try:
            good, line = play(guest.SETUPS[name], options)
        except KeyboardInterrupt:
            return 130
        except host.SetupError as error:
            print(f"systemd: {error}", file=sys.stderr)
            return 1
        all_good &= good
        lines.append(f"{name:12} {'well' if good else 'NOT WELL':9} {line}")
    print("\n" + "\n".join(lines))
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
