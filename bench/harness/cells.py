"""One measurement: a fresh server on one core, the load client on another."""

import json
import subprocess
from collections import defaultdict
from dataclasses import dataclass
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
    """`figure` is what counts, times `scale` in `unit`; `tuning` is the configuration the servers get."""

    name: str
    title: str
    unit: str
    figure: str = "cpu_us_per_operation"
    scale: float = 1.0
    program: str = ""
    tuning: str = "tuned"


class Failed(Exception):
    """Why there is no figure."""


class Results:
    """All that was measured, by scenario and server."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], list[dict]] = defaultdict(list)

    def add(self, scenario: Scenario, server: Server, outcome: dict) -> None:
        self.runs[scenario.name, server.name].append(outcome)

    def median(self, scenario: Scenario, server: Server, figure: str | None = None) -> float | None:
        figure = figure or scenario.figure
        scale = scenario.scale if figure == scenario.figure else 1.0
        values = [run[figure] for run in self.runs[scenario.name, server.name] if run.get(figure) is not None]
        return median(values) * scale if values else None

    def best_peer(self, scenario: Scenario) -> tuple[Server, float] | None:
        peers = [(server, self.median(scenario, server)) for server in SERVERS if server.kind == "peer"]
        known = [(server, value) for server, value in peers if value is not None]
        return min(known, key=lambda pair: pair[1]) if known else None

    def floor(self, scenario: Scenario) -> float | None:
        return self.median(scenario, SERVERS[0])


def measure(server: Server, scenario: Scenario, seconds: float) -> dict:
    """Starts the server, runs the scenario once and stops the server."""
    command = ["taskset", "-c", SERVER_CORE, PROGRAMS / "serve", server.name, "--tuning", scenario.tuning]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise Failed(f"did not start: {process.stderr.read().strip()}")
        return load(json.loads(line), scenario, seconds)
    finally:
        process.kill()
        process.communicate()


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
    Scenario("streams-64", "small bidi stream, 64 in flight", "µs"),
    Scenario("streams-1", "small bidi stream, 1 in flight", "µs"),
    Scenario("datagrams-32-64", "datagram 32 B, 64 in flight", "µs"),
    Scenario("datagrams-32-1", "datagram 32 B, 1 in flight", "µs"),
    Scenario("datagrams-1100-64", "datagram 1100 B, 64 in flight", "µs"),
    Scenario("datagrams-1100-1", "datagram 1100 B, 1 in flight", "µs"),
    Scenario("upload-1", "upload, 1 stream", "s/GB", "cpu_s_per_gb"),
    Scenario("upload-16", "upload, 16 streams", "s/GB", "cpu_s_per_gb"),
    Scenario("download-1", "download, 1 stream", "s/GB", "cpu_s_per_gb"),
    Scenario("download-16", "download, 16 streams", "s/GB", "cpu_s_per_gb"),
    Scenario("handshakes-1", "handshake + CONNECT, 1 in flight", "µs"),
    Scenario("handshakes-64", "handshake + CONNECT, 64 in flight", "µs"),
    Scenario("broadcast-32", "broadcast of 32 B to 1,000, per delivery", "µs"),
    Scenario("broadcast-1100", "broadcast of 1100 B to 1,000, per delivery", "µs"),
    Scenario("idle-1000", "memory per idle session of 1,000, defaults", "KiB", "memory_per_session", 1 / 1024,
             tuning="defaults"),
    Scenario("idle-5000", "memory per idle session of 5,000, defaults", "KiB", "memory_per_session", 1 / 1024,
             tuning="defaults"),
    Scenario("idle-1000-tuned", "memory per idle session of 1,000, tuned windows", "KiB", "memory_per_session", 1 / 1024,
             program="idle-1000"),
    Scenario("sessions-200", "further session on one connection", "µs"),
    Scenario("sessions-200-memory", "memory per further session on one connection", "KiB", "memory_per_session", 1 / 1024,
             program="sessions-200"),
]
