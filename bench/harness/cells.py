"""One measurement: a fresh server on one core, the load client on another."""

import json
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from math import sqrt
from statistics import median

from .build import PROGRAMS

SERVER_CORE, CLIENT_CORE = "0", "1"


@dataclass(frozen=True)
class Server:
    """Its name on the command line of `serve`, what it is called, and whose it is."""

    name: str
    title: str
    kind: str  # floor, ours or peer
    one_session: bool = False  # on a connection


@dataclass(frozen=True)
class Scenario:
    """`figure` is what counts, times `scale` in `unit`; `tuning` is the configuration the servers get.

    `bursts`: a run is so many short ones, for which all servers stand ready in turns. On a shared machine the seconds differ
    more than the servers do; neighbours in time can be compared. With a fresh server each time, memory would lie elsewhere.
    """

    name: str
    title: str
    unit: str
    figure: str = "cpu_us_per_operation"
    scale: float = 1.0
    program: str = ""
    tuning: str = "tuned"
    bursts: int = 1


class Failed(Exception):
    """Why there is no figure."""


class Results:
    """All that was measured, by scenario and server."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], list[dict]] = defaultdict(list)

    def add(self, scenario: Scenario, server: Server, run: int, outcome: dict) -> None:
        self.runs[scenario.name, server.name].append({"run": run, **outcome})

    def median(self, scenario: Scenario, server: Server, figure: str | None = None) -> float | None:
        figure = figure or scenario.figure
        scale = scenario.scale if figure == scenario.figure else 1.0
        values = [run[figure] for run in self.runs[scenario.name, server.name] if run.get(figure) is not None]
        return median(values) * scale if values else None

    def ratio(self, scenario: Scenario, server: Server, base: Server | None) -> "Ratio | None":
        """How a server compares with another: the median over runs, each compared with its neighbour in time."""
        if base is None:
            return None
        other = {run["run"]: run.get(scenario.figure) for run in self.runs[scenario.name, base.name]}
        values = [
            run[scenario.figure] / other[run["run"]]
            for run in self.runs[scenario.name, server.name]
            if run.get(scenario.figure) is not None and other.get(run["run"])
        ]
        return Ratio.of(values) if values else None

    def best_peer(self, scenario: Scenario) -> Server | None:
        peers = [(self.median(scenario, server), server) for server in SERVERS if server.kind == "peer"]
        known = [(value, server) for value, server in peers if value is not None]
        return min(known, key=lambda pair: pair[0])[1] if known else None


@dataclass(frozen=True)
class Ratio:
    """A median, and how far it may be off: its standard error, from the median deviation."""

    value: float
    error: float | None

    @classmethod
    def of(cls, values: list[float]) -> "Ratio":
        middle = median(values)
        if len(values) < 3:
            return cls(middle, None)
        # The deviation of a normal distribution is 1.4826 times its median deviation; that of a median of n is 1.2533 times
        # that of a mean.
        deviation = 1.4826 * median(abs(value - middle) for value in values)
        return cls(middle, 1.2533 * deviation / sqrt(len(values)))


class Fleet:
    """Servers that stand ready, all with the configuration of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.running: dict[str, tuple[subprocess.Popen, dict]] = {}

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        for process, _ in self.running.values():
            process.kill()
        for process, _ in self.running.values():
            process.communicate()

    def measure(self, server: Server, seconds: float) -> dict:
        """Starts the server if it does not run yet, and puts load on it."""
        if server.name not in self.running:
            self.running[server.name] = self.start(server)
        return load(self.running[server.name][1], self.scenario, seconds)

    def start(self, server: Server) -> tuple[subprocess.Popen, dict]:
        command = ["taskset", "-c", SERVER_CORE, PROGRAMS / "serve", server.name, "--tuning", self.scenario.tuning]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        if not line:
            process.kill()
            raise Failed(f"did not start: {process.communicate()[1].strip()}")
        return process, json.loads(line)


def load(listening: dict, scenario: Scenario, seconds: float) -> dict:
    command = ["taskset", "-c", CLIENT_CORE, PROGRAMS / "load", "--server", listening["address"]]
    command += ["--pid", str(listening["pid"]), "--scenario", scenario.program or scenario.name]
    command += ["--seconds", str(seconds)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60 + 20 * seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Failed("did not come to an end") from None
    try:
        outcome = json.loads(result.stdout)
    except json.JSONDecodeError:
        words = result.stderr.strip().splitlines()
        raise Failed(f"the load client failed: {words[0] if words else result.returncode}") from None
    if "error" in outcome:
        raise Failed(outcome["error"])
    return outcome


def choose(all_of_them: list, names: str | None, what: str) -> list:
    """Those whose names begin with one of the words, or are one of them."""
    if not names:
        return all_of_them
    chosen = []
    for word in names.split(","):
        exact = [one for one in all_of_them if one.name == word]
        found = exact or [one for one in all_of_them if one.name.startswith(word)]
        if not found:
            raise ValueError(f"there is no {what} {word!r}")
        chosen += [one for one in found if one not in chosen]
    return chosen


SERVERS = [
    Server("floor", "floor", "floor"),
    Server("core", "transom-core", "ours"),
    Server("tokio", "transom, tokio", "ours"),
    Server("smol", "transom, smol", "ours"),
    Server("web-transport-quinn", "web-transport-quinn", "peer", one_session=True),
    Server("wtransport", "wtransport", "peer", one_session=True),
    Server("h3-webtransport", "h3-webtransport", "peer", one_session=True),
]

SCENARIOS = [
    Scenario("streams-64", "small bidi stream, 64 in flight", "µs", bursts=6),
    Scenario("streams-1", "small bidi stream, 1 in flight", "µs", bursts=6),
    Scenario("datagrams-32-64", "datagram 32 B, 64 in flight", "µs", bursts=6),
    Scenario("datagrams-32-1", "datagram 32 B, 1 in flight", "µs", bursts=6),
    Scenario("datagrams-1100-64", "datagram 1100 B, 64 in flight", "µs", bursts=6),
    Scenario("datagrams-1100-1", "datagram 1100 B, 1 in flight", "µs", bursts=6),
    Scenario("upload-1", "upload, 1 stream", "s/GB", "cpu_s_per_gb", bursts=6),
    Scenario("upload-16", "upload, 16 streams", "s/GB", "cpu_s_per_gb", bursts=6),
    Scenario("download-1", "download, 1 stream", "s/GB", "cpu_s_per_gb", bursts=6),
    Scenario("download-16", "download, 16 streams", "s/GB", "cpu_s_per_gb", bursts=6),
    Scenario("handshakes-1", "handshake + CONNECT, 1 in flight", "µs", bursts=6),
    Scenario("handshakes-64", "handshake + CONNECT, 64 in flight", "µs", bursts=6),
    Scenario("broadcast-32", "broadcast of 32 B to 1,000, per delivery", "µs", bursts=2),
    Scenario("broadcast-1100", "broadcast of 1100 B to 1,000, per delivery", "µs", bursts=2),
    Scenario("idle-1000", "memory per idle session of 1,000, defaults", "KiB", "memory_per_session", 1 / 1024,
             tuning="defaults"),
    Scenario("idle-5000", "memory per idle session of 5,000, defaults", "KiB", "memory_per_session", 1 / 1024,
             tuning="defaults"),
    Scenario("idle-1000-tuned", "memory per idle session of 1,000, tuned windows", "KiB", "memory_per_session", 1 / 1024,
             program="idle-1000"),
    Scenario("sessions-200", "further session on one connection", "µs", bursts=6),
    Scenario("sessions-200-memory", "memory per further session on one connection", "KiB", "memory_per_session", 1 / 1024,
             program="sessions-200"),
]
