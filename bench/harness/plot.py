"""A dot plot as SVG: each scenario a row, each server a dot at its multiple of the floor."""

from html import escape
from math import log2

from .cells import Results, Scenario, Server
from .table import FLOOR, figure

COLOURS = {
    "floor": "#6b7280",
    "core": "#93c5fd",
    "tokio": "#1d4ed8",
    "smol": "#0891b2",
    "web-transport-quinn": "#d97706",
    "wtransport": "#be123c",
    "h3-webtransport": "#7c3aed",
}
WIDTH, LEFT, RIGHT, TOP, ROW = 1000, 372, 40, 96, 28
TICKS = [0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24]


def svg(results: Results, scenarios: list[Scenario], servers: list[Server]) -> str:
    rows = [scenario for scenario in scenarios if results.median(scenario, FLOOR)]
    multiples = [
        ratio.value
        for scenario in rows
        for server in servers
        if (ratio := results.ratio(scenario, server, FLOOR)) is not None
    ]
    low = min([0.75, *multiples])
    high = max([2.0, *multiples]) * 1.05
    height = TOP + ROW * len(rows) + 48

    def x(multiple: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * log2(multiple / low) / log2(high / low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="20" y="30" font-size="17" font-weight="600" fill="#111827">'
        "What a server costs, as a multiple of the floor</text>",
        '<text x="20" y="50" fill="#4b5563">Processor time (or memory) of the server; further left is better. '
        "Logarithmic; medians.</text>",
        *legend(servers),
    ]
    bottom = TOP + ROW * len(rows)
    for tick in TICKS:
        if low <= tick <= high:
            strong = tick == 1
            parts.append(
                f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{bottom}" '
                f'stroke="{"#6b7280" if strong else "#e5e7eb"}" stroke-width="{1.5 if strong else 1}"/>'
            )
            parts.append(
                f'<text x="{x(tick):.1f}" y="{bottom + 20}" text-anchor="middle" fill="#4b5563">{tick:g}×</text>'
            )
    for index, scenario in enumerate(rows):
        parts += row(results, scenario, servers, TOP + ROW * index + ROW / 2, x)
    return "\n".join(parts) + "\n</svg>\n"


def legend(servers: list[Server]) -> list[str]:
    parts, left = [], 20.0
    for server in servers:
        parts.append(dot(left + 6, 74, server))
        parts.append(f'<text x="{left + 18:.0f}" y="78" fill="#111827">{escape(server.title)}</text>')
        left += 42 + 6.6 * len(server.title)
    return parts


def row(results: Results, scenario: Scenario, servers: list[Server], y: float, x) -> list[str]:
    label = f"{scenario.title}"
    known = [
        (server, ratio.value)
        for server in servers
        if (ratio := results.ratio(scenario, server, FLOOR)) is not None
    ]
    ends = [x(value) for _, value in known]
    parts = [
        f'<text x="{LEFT - 16}" y="{y + 4:.1f}" text-anchor="end" fill="#111827">{escape(label)}</text>',
        f'<line x1="{min(ends):.1f}" x2="{max(ends):.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d1d5db" stroke-width="2"/>',
    ]
    # Ours last, so that nothing hides them.
    for server, value in sorted(known, key=lambda pair: pair[0].kind == "ours"):
        words = f"{server.title}: {figure(results.median(scenario, server))} {scenario.unit}, {value:.2f} × floor"
        parts.append(dot(x(value), y, server, words))
    return parts


def dot(x: float, y: float, server: Server, title: str = "") -> str:
    colour = COLOURS.get(server.name, "#374151")
    tip = f"<title>{escape(title)}</title>" if title else ""
    if server.kind == "floor":
        return (
            f'<rect x="{x - 1.5:.1f}" y="{y - 8:.1f}" width="3" height="16" rx="1" fill="{colour}">{tip}</rect>'
        )
    size = 6.5 if server.kind == "ours" else 5.5
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}" fill-opacity="0.92" '
        f'stroke="#ffffff" stroke-width="1.5">{tip}</circle>'
    )
