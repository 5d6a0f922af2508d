"""The schema of the ledger as the steps that led to it; refuses to change one that was published.

Each step is one file `steps/<number>_<words>.sql`, run once, in order, in a transaction of its own.
"""

import re
from importlib import resources


def steps() -> tuple[str, ...]:
    """Return the SQL of each step, in order: the first makes schema 1.

    Raises:
        ValueError: the numbers of the files are not 1, 2, 3, ...
    """
    files = {
        int(match[1]): file
        for file in resources.files(__package__).joinpath("steps").iterdir()
        if (match := re.fullmatch(r"([0-9]{4})_[a-z0-9_]+\.sql", file.name))
    }
    if sorted(files) != list(range(1, len(files) + 1)):
        raise ValueError(f"the schema steps are numbered {sorted(files)}")
    return tuple(files[number].read_text(encoding="utf-8") for number in sorted(files))
