"""`make golden-update`: writes what comes of each case now, for a person to read in `git diff`."""

from __future__ import annotations

import sys

import yaml

from tests.golden.cases import CASES, FOLDER, documents, outcome


def main() -> int:
    for case in CASES:
        found = outcome(case)
        if [found] != documents(case, "expected.yaml"):
            text = yaml.safe_dump(found, sort_keys=False, width=110, allow_unicode=True)
            (FOLDER / case / "expected.yaml").write_text(text)
            print(f"changed: {case}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
