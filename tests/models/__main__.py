"""`python -m tests.models NAME…`: makes the models that are not there yet and prints the folder of each."""

from __future__ import annotations

import argparse
import sys

from tests.models import exported, folder
from tests.models.recipes import RECIPES, NotMadeError


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.models", description=__doc__)
    parser.add_argument("names", nargs="+", choices=RECIPES, metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--exported", action="store_true", help="for OpenVINO, as `classifier_runtime export` does")
    parser.add_argument("--int8", action="store_true", help="exported and quantised; of texts only")
    said = parser.parse_args()
    try:
        for name in said.names:
            print(exported(name, int8=said.int8) if said.exported or said.int8 else folder(name), flush=True)
    except NotMadeError as error:
        print(f"models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
