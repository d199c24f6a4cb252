"""docs/benchmarks: the table, every figure as JSON, and the plot."""

import json
from pathlib import Path

from . import plot, table
from .build import FOLDER
from .cells import Results, Scenario, Server

DOCS = FOLDER.parent / "docs" / "benchmarks"


def write(
    results: Results,
    scenarios: list[Scenario],
    servers: list[Server],
    failures: list[tuple[str, str, str]],
    facts: dict,
) -> list[Path]:
    DOCS.mkdir(parents=True, exist_ok=True)
    page = "\n".join([
        HEAD,
        table.markdown(results, scenarios, servers),
        table.ratios(results, scenarios, servers),
        circumstances(facts),
        missing(failures),
        TAIL,
    ])
    figures = {
        "facts": facts,
        "failures": [{"scenario": scenario, "server": server, "words": words} for scenario, server, words in failures],
        "runs": [
            {"scenario": scenario, "server": server, "outcomes": outcomes}
            for (scenario, server), outcomes in results.runs.items()
            if outcomes
        ],
    }
    files = {
        "README.md": page,
        "figures.json": json.dumps(figures, indent=1) + "\n",
        "plot.svg": plot.svg(results, scenarios, servers),
    }
    for name, text in files.items():
        (DOCS / name).write_text(text)
    return [DOCS / name for name in files]


def circumstances(facts: dict) -> str:
    return (
        f"Measured on {facts['date']} at commit {facts['commit']}: {facts['processor']}, {facts['cores']} cores, "
        f"{facts['system']}, {facts['rustc']}. {facts['runs']} runs of {facts['seconds']:g} s each; "
        f"other processes used {facts['others_share']:.0%} of the machine meanwhile.\n"
    )


def missing(failures: list[tuple[str, str, str]]) -> str:
    if not failures:
        return ""
    lines = sorted({f"- {scenario}, {server}: {words}" for scenario, server, words in failures})
    return "Without a figure:\n\n" + "\n".join(lines) + "\n"


HEAD = """# Benchmarks

Processor time of the server (user and system, all threads) for each operation, under one load client that is made of
neither Transom nor any of the peers. Less is better. `bench/run --write` writes this page.

![Server processor time as a multiple of the floor](plot.svg)
"""

TAIL = """## How it is measured

- For each run every server is a fresh process on core 0, and what is measured a burst of load from a fresh client on core 1,
  over loopback. All servers stand ready and take turns burst by burst, six bursts a run (two for broadcasts, one where memory
  is measured), each time beginning with another one: on a shared machine the seconds differ more than the servers do.
  Medians of all bursts are shown. A ratio is the median of what each burst gave against its neighbour's in time, with its
  standard error (from the median deviation). [figures.json](figures.json) has every burst, with rates and latencies.
- **floor** is a plain loop over quinn-proto in one thread, recvmmsg and GRO in, GSO out, with the least of HTTP/3 and
  WebTransport written by hand ([`bench/src/servers/floor.rs`](../../bench/src/servers/floor.rs)). It checks nothing.
- Uploads are taken up to 16 pieces at a time where the library has a call for it: all but h3-webtransport, wtransport by quinn's.
- All servers get the same certificate (P-256), cipher (AES-128-GCM by ring), windows, packet size (1,452 bytes), socket
  buffers and GSO; those on tokio run on its current-thread executor, which costs the least on one core. Memory is also shown
  with the defaults of each library.
- The client checks the content and the count of all answers. A wrong answer, or more than one datagram in 50 lost, is a
  failure and no figure.
- A warm-up of a quarter of the time (64 MiB for bulk) goes before. Processor time is read from `/proc/PID/task/*/schedstat`,
  memory from `smaps_rollup`.

## How to run it

| command | what it does |
|---|---|
| `bench/run` | everything, five runs |
| `bench/run --quick` | everything once, half a second each |
| `bench/run --only streams-64 --servers floor,tokio --runs 1 --seconds 1` | one scenario; a beginning of its name is enough |
| `bench/run --write` | and writes this page |
| `bench/idle --sessions 20000 --minutes 10` | idle sessions with keep-alives, held and counted |
| `bench/workers` | what two workers carry against one |

What they gave, and where the time goes: [profile.md](profile.md).
"""
