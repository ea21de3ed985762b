"""`python -m pullsizer`, and the command `pullsizer`."""

from pullsizer.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    raise SystemExit(main())
