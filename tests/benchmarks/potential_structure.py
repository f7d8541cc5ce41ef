"""Counts, over 500 random games, the certified improvement cycles that are found, family by family.

    OPENBLAS_NUM_THREADS=1 PYTHONPATH=tests/support python tests/benchmarks/potential_structure.py [--games N]

Every verdict is compared with an independent decision on the drawn data, and every cycle verified, as in
``tests/theory/test_potential_census.py``; a difference ends the run. It prints a table in Markdown.
"""

from __future__ import annotations

import argparse
from collections import Counter

from structure_census import census


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=500)
    rows = census(range(parser.parse_args().games))
    rows["all"] = sum(rows.values(), Counter())
    heads = (
        "family",
        "games",
        "cyclic, not weighted",
        "certified cycles",
        "share",
        "of four moves",
        "proved to have none",
    )
    print("|", " | ".join(heads), "|")
    print("|---|---|---|---|---|---|---|")
    for family, row in rows.items():
        share = f"{row['found'] / row['due']:.1%}" if row["due"] else "-"
        figures = (row["games"], row["due"], row["found"], share, row["of four"], row["none"])
        print("|", " | ".join(map(str, (family, *figures))), "|")


if __name__ == "__main__":
    main()
