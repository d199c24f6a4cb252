"""Figures as text."""

from .cells import Results, Scenario, Server


def figure(value: float | None) -> str:
    """Three digits that mean something."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value: float | None, base: float | None) -> str:
    return f"{value / base:.2f}" if value is not None and base else "–"


def terminal(results: Results, scenarios: list[Scenario], servers: list[Server]) -> str:
    """For each scenario a block with a line for each server."""
    lines = []
    for scenario in scenarios:
        floor, peer = results.floor(scenario), results.best_peer(scenario)
        lines.append(f"\n{scenario.title} ({scenario.name}), {scenario.unit}")
        lines.append(f"  {'':26}{'median':>9}{'× floor':>9}{'× best peer':>13}{'rate':>12}{'p50 µs':>9}{'p99 µs':>9}{'lost':>7}")
        for server in servers:
            value = results.median(scenario, server)
            other = peer[1] if peer else None
            lines.append(
                f"  {server.title:26}{figure(value):>9}{ratio(value, floor):>9}{ratio(value, other):>13}"
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
