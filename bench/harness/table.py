"""Figures as text."""

from .cells import SERVERS, Ratio, Results, Scenario, Server

FLOOR = SERVERS[0]


def figure(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def compared(ratio: Ratio | None) -> str:
    """With its error, where that is known."""
    if ratio is None:
        return "–"
    return f"{ratio.value:.2f}" if ratio.error is None else f"{ratio.value:.2f} ± {ratio.error:.2f}"


def terminal(results: Results, scenarios: list[Scenario], servers: list[Server]) -> str:
    """For each scenario a block with a line for each server."""
    lines = []
    for scenario in scenarios:
        peer = results.best_peer(scenario)
        lines.append(f"\n{scenario.title} ({scenario.name}), {scenario.unit}")
        lines.append(f"  {'':26}{'median':>9}{'× floor':>13}{'× best peer':>13}{'rate':>12}{'p50 µs':>9}{'p99 µs':>9}{'lost':>7}")
        for server in servers:
            value = results.median(scenario, server)
            lines.append(
                f"  {server.title:26}{figure(value):>9}{compared(results.ratio(scenario, server, FLOOR)):>13}{compared(results.ratio(scenario, server, peer)):>13}"
                f"{rate(results, scenario, server):>12}"
                f"{figure(results.median(scenario, server, 'p50_us')):>9}"
                f"{figure(results.median(scenario, server, 'p99_us')):>9}"
                f"{whole(results.median(scenario, server, 'lost')):>7}"
            )
    return "\n".join(lines)


def rate(results: Results, scenario: Scenario, server: Server) -> str:
    operations = results.median(scenario, server, "operations_per_s")
    gigabytes = results.median(scenario, server, "gb_per_s")
    if gigabytes is not None:
        return f"{gigabytes:.2f} GB/s"
    return f"{operations:,.0f}/s" if operations is not None else "–"


def whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def below(facts: dict) -> str:
    """Under what circumstances."""
    return (
        f"\n{facts['runs']} runs of {facts['seconds']:g} s each, interleaved, medians; server on core 0, client on core 1; "
        f"others used {facts['others_share']:.0%} of the machine meanwhile."
    )


def markdown(results: Results, scenarios: list[Scenario], servers: list[Server]) -> str:
    """One line for each scenario, one column for each server."""
    lines = [
        "| | unit | " + " | ".join(server.title for server in servers) + " |",
        "|---|---|" + "---|" * len(servers),
    ]
    for scenario in scenarios:
        best = min((value for server in servers if (value := results.median(scenario, server)) is not None), default=None)
        cells = []
        for server in servers:
            value = results.median(scenario, server)
            cells.append(f"**{figure(value)}**" if value is not None and value == best else figure(value))
        lines.append(f"| {scenario.title} | {scenario.unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def ratios(results: Results, scenarios: list[Scenario], servers: list[Server]) -> str:
    """Ours to the floor and to the best peer."""
    ours = [server for server in servers if server.kind == "ours"]
    if not ours:
        return ""
    lines = [
        "| | " + " | ".join(f"{server.title} ÷ floor" for server in ours) + " | best peer | "
        + " | ".join(f"{server.title} ÷ best peer" for server in ours) + " |",
        "|---|" + "---|" * (2 * len(ours) + 1),
    ]
    for scenario in scenarios:
        peer = results.best_peer(scenario)
        to_floor = " | ".join(compared(results.ratio(scenario, server, FLOOR)) for server in ours)
        to_peer = " | ".join(compared(results.ratio(scenario, server, peer)) for server in ours)
        name = peer.title if peer else "–"
        lines.append(f"| {scenario.title} | {to_floor} | {name} | {to_peer} |")
    return "\n".join(lines) + "\n"
