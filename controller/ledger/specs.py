"""How accepted specs lie in their table: the workspace as JSON of exactly what its file said.

It refuses to tell an absent key from null less well than the file did: both survive as they were.
"""

import json
from collections.abc import Callable

import pydantic

from controller.api.workspace import Workspace
from controller.ledger import shelves
from controller.ledger.database import Database
from controller.model.desired import AcceptedSpec

_ADAPTER = pydantic.TypeAdapter(AcceptedSpec)
_OF_THEIR_OWN = frozenset({"workspace", "lines"})


def load(database: Database, report: Callable[[str], None]) -> dict[str, AcceptedSpec]:
    """Return all accepted specs by name; call `report` with a sentence for each that cannot be read."""
    found = {}
    for row in database.execute("SELECT * FROM accepted ORDER BY name"):
        name = str(row["name"])
        try:
            workspace = Workspace.model_validate_json(str(row["workspace"]))
            lines = json.loads(str(row["lines"]))
        except ValueError as error:
            report(f"an accepted spec cannot be read and is left as it is: {name}: {_first_line(error)}")
            continue
        spec = shelves.decode(
            _ADAPTER, {**row, "workspace": workspace, "lines": lines}, f"accepted {name}", report
        )
        if spec is not None:
            found[name] = spec
    return found


def put(database: Database, spec: AcceptedSpec) -> None:
    """Write an accepted spec in place of the one of that name."""
    stated = spec.workspace.model_dump(mode="json", by_alias=True, exclude_unset=True)
    row = {
        **shelves.columns(_ADAPTER, spec, _OF_THEIR_OWN),
        "name": spec.name,
        "workspace": _canonical(stated),
        "lines": _canonical(dict(spec.lines)),
    }
    shelves.replace_row(database, "accepted", row)


def remove(database: Database, name: str) -> None:
    """Remove the accepted spec of that name, if there is one."""
    database.execute("DELETE FROM accepted WHERE name = ?", (name,))


def owner(spec: AcceptedSpec) -> str:
    """Return the login name of the owner: the name where the file says nothing."""
    return spec.workspace.spec.owner or spec.name


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _first_line(error: ValueError) -> str:
    return str(error).partition("\n")[0]
