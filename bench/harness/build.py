"""The programs."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]
PROGRAMS = FOLDER / "target" / "release"


def build() -> bool:
    """Says whether it worked; cargo has told why not."""
    result = subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=FOLDER, check=False)
    if result.returncode != 0:
        print("bench/run: the programs could not be built", file=sys.stderr)
    return result.returncode == 0
