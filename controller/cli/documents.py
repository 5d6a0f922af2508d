"""Policy, catalog and spec files, read by the command itself and judged as the controller would.

It decides nothing about workspaces; a file that is not valid is a failure with one line for each finding.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar, cast

from controller.api import meta
from controller.api import policy as policy_models
from controller.cli import control, exits, session, trees
from controller.sources import loader

ModelT = TypeVar("ModelT", bound=meta.ApiModel)

_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


def load(file: Path, model: type[ModelT]) -> ModelT | None:
    """The document in `file`; None where there is no such file.

    Raises:
        exits.Failure: it cannot be read or is not valid.
    """
    found = read(file, model)
    return None if found is None else found.value


def read(file: Path, model: type[ModelT]) -> loader.Parsed[ModelT] | None:
    """The document in `file` with the lines of its keys; None where there is no such file.

    Raises:
        exits.Failure: it cannot be read or is not valid.
    """
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(file, error) from error
    result = loader.parse_document(text, str(file), model)
    if isinstance(result, loader.Rejection):
        raise exits.Failure(exits.ExitCode.ERROR, "\n".join(map(str, result.findings)))
    return result


def unreadable(file: Path, error: OSError) -> exits.Failure:
    """The failure for a file that could not be read or written."""
    denied = isinstance(error, PermissionError)
    code = exits.ExitCode.NOT_PERMITTED if denied else exits.ExitCode.ERROR
    if isinstance(error, FileNotFoundError):
        code = exits.ExitCode.NOT_FOUND
    return exits.Failure(code, f"{file}: {error.strerror or error}")


def policy(this: session.Session) -> control.Answer:
    """The policy's object in a list; an empty list where there is no policy file."""
    found = load(this.settings.policy_file, policy_models.ResourcePolicy)
    items = [] if found is None else [found.model_dump(mode="json", exclude_unset=True)]
    return control.Answer(cast("trees.Json", {"items": items}), _NO_TIME)
