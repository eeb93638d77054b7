"""What a sweep costs beside its stages: time of the workers outside of the nodes, for a sweep that was run in one go.

    python benchmarks/sweep_overhead.py data/08_reporting/ablation/cells.parquet

Outside of the nodes are configuration and catalog, looking for what other variants have made, and the record in MLflow.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from placid_kedro.ablation.comparison import FINISHED, SECONDS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", type=Path)
    cells = pd.read_parquet(parser.parse_args().cells)
    finished = cells[cells["status"] == FINISHED]
    stages = finished[[name for name in finished.columns if name.startswith(SECONDS)]].sum()
    total = finished["seconds"].sum()
    for name, seconds in stages.items():
        print(f"{str(name).removeprefix(SECONDS):14} {seconds:8.1f} s")
    print(f"{'all objects':14} {total:8.1f} s, {len(finished)} of them")
    print(f"overhead beside the stages: {total / stages.sum() - 1:.1%}")


if __name__ == "__main__":
    main()
