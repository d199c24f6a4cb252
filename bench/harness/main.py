"""The command line of `bench/run`."""

import argparse
import sys

from . import build, cells, machine, report, table
from .progress import Progress


def main() -> int:
    options = arguments()
    try:
        scenarios = cells.choose(cells.SCENARIOS, options.only, "scenario")
        servers = cells.choose(cells.SERVERS, options.servers, "server")
    except ValueError as error:
        print(f"bench/run: {error}", file=sys.stderr)
        return 2
    runs = options.runs or (1 if options.quick else 5)
    seconds = options.seconds or (0.5 if options.quick else 2.0)
    if not options.no_build and not build.build():
        return 1
    busy = machine.Busy()
    results, failures = cells.Results(), []
    with Progress(sum(runs * scenario.bursts * len(able(servers, scenario)) for scenario in scenarios)) as progress:
        for scenario in scenarios:
            for run in range(runs):
                one_run(scenario, servers, run, seconds / scenario.bursts, results, failures, progress)
    print(table.terminal(results, scenarios, servers))
    facts = machine.facts(runs, seconds, busy.share())
    print(table.below(facts))
    if options.write:
        for path in report.write(results, scenarios, servers, failures, facts):
            print(f"wrote {path}")
    return 1 if failures else 0


def one_run(
    scenario: cells.Scenario,
    servers: list[cells.Server],
    run: int,
    seconds: float,
    results: cells.Results,
    failures: list[tuple[str, str, str]],
    progress: Progress,
) -> None:
    with cells.Fleet(scenario) as fleet:
        for burst in range(scenario.bursts):
            number = run * scenario.bursts + burst
            for server in turned(able(servers, scenario), number):
                progress.show(f"{scenario.name}  {server.name}  run {run + 1}")
                try:
                    results.add(scenario, server, number, fleet.measure(server, seconds))
                except cells.Failed as error:
                    failures.append((scenario.name, server.name, str(error)))
                    progress.say(f"{scenario.name}, {server.name}: {error}")
                progress.done()


def able(servers: list[cells.Server], scenario: cells.Scenario) -> list[cells.Server]:
    return [server for server in servers if not (server.one_session and scenario.name.startswith("sessions"))]


def turned(servers: list, run: int) -> list:
    """Each burst begins with another server, so that none always has the same place."""
    first = run % len(servers)
    return servers[first:] + servers[:first]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Server processor time of Transom, the floor and other people's servers under the same load.",
        epilog="scenarios: " + ", ".join(scenario.name for scenario in cells.SCENARIOS)
        + ". servers: " + ", ".join(server.name for server in cells.SERVERS) + ".",
    )
    parser.add_argument("--runs", type=int, metavar="N", help="runs of each [5; 1 with --quick]")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of a run, all its bursts together [2; 0.5 with --quick]")
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--only", metavar="A,B", help="these scenarios; a beginning of the name is enough")
    parser.add_argument("--servers", metavar="A,B", help="these servers")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks: table, JSON, plot")
    parser.add_argument("--no-build", action="store_true", help="take the programs as they are")
    return parser.parse_args()
