"""Knows only that `python -m controller` is the `wharf` command; refuses to hold anything else."""

from controller.cli import main

if __name__ == "__main__":
    main.main()
