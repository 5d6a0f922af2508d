"""`python -m tests.policies [--check]`: writes docs/reference/resolution.md from the rows of the table."""

import sys

from tests.policies import page, table


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say whether it is current; 1 where it is not."""
    file = table.ROOT / page.PAGE
    text = page.render()
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"{page.PAGE}: not current; run `make generate`", file=sys.stderr)
        return 1
    file.write_text(text, encoding="utf-8")
    print(page.PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
