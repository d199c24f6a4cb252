"""Where and when it was measured, and what else ran."""

import os
import platform
import subprocess
import time
from pathlib import Path


class Busy:
    """How much of the machine others used meanwhile."""

    def __init__(self) -> None:
        self.begun = self._read()

    def share(self) -> float:
        """Processor time of all that we did not start, as a share of all cores."""
        busy, total, own = (now - then for now, then in zip(self._read(), self.begun))
        return max(0.0, (busy - own) / total) if total else 0.0

    @staticmethod
    def _read() -> tuple[float, float, float]:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        tick = os.sysconf("SC_CLK_TCK")
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        return (sum(fields) - fields[3] - fields[4]) / tick, sum(fields) / tick, own


def facts(runs: int, seconds: float, busy: float) -> dict:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "rustc": words("rustc", "--version"),
        "commit": words("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"),
        "runs": runs,
        "seconds": seconds,
        "others_share": round(busy, 3),
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def words(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
