// How the server is: state, connections and sessions, certificate, and what its rules find wrong.
import { duration, element, whole } from "./words.js";

const $ = (id) => document.getElementById(id);

/** Shows what the server tells as `diagnostics`, with the other figures of the same moment. */
export function showDiagnostics({ uptime_seconds: uptime, diagnostics, ...counters }) {
  $("diagnostics").hidden = !diagnostics;
  if (!diagnostics) return;
  const { state, connections, sessions, certificate, issues, running_handlers: handlers, taken_at: now } = diagnostics;
  $("diagnostics-state").textContent = state.charAt(0).toUpperCase() + state.slice(1);
  $("diagnostics-state").dataset.tone = state === "serving" ? "good" : "warn";
  $("diagnostics-uptime").textContent = `for ${duration(uptime)}`;
  $("diagnostics-connections").textContent = `${whole(connections.open)} open`;
  $("diagnostics-connections-detail").textContent = listed([
    `${whole(connections.with_sessions)} with sessions`,
    `${whole(counters.connections_lost)} ended`,
    `${whole(counters.connections_refused)} refused`,
    `limit ${whole(connections.limit)}`,
  ]);
  $("diagnostics-sessions").textContent = `${whole(sessions.open)} open`;
  $("diagnostics-sessions-detail").textContent = listed([
    `${whole(sessions.draining)} draining`,
    `${whole(handlers)} with a handler at work`,
    `${whole(counters.sessions_refused)} refused`,
  ]);
  showCertificate(certificate, now);
  showIssues(issues);
  showPaths(sessions.by_path);
}

function showCertificate({ valid_until: until }, now) {
  const left = until - now;
  const known = typeof until === "number";
  $("diagnostics-certificate").textContent = !known ? "Unknown" : left > 0 ? `${long(left)} left` : "Expired";
  $("diagnostics-certificate").dataset.tone = !known || left > 24 * 3600 ? "good" : left > 0 ? "warn" : "bad";
  $("diagnostics-certificate-detail").textContent = known ? `until ${new Date(until * 1000).toLocaleString([], DATE)}` : "";
}

/** Changed only when there is something new to say: it is read aloud. */
function showIssues(issues) {
  const place = $("issues");
  const words = JSON.stringify(issues);
  if (place.dataset.words === words) return;
  place.dataset.words = words;
  place.dataset.count = String(issues.length);
  if (!issues.length) {
    place.replaceChildren(element("p", "fine", "None. The rules find nothing wrong."));
    return;
  }
  const list = element("ul", "issues");
  list.append(...issues.map((issue) => element("li", "", issue.charAt(0).toUpperCase() + issue.slice(1))));
  place.replaceChildren(list);
}

function showPaths({ listed: paths, others }) {
  const rows = paths.map(({ path, open }) => row(path, open, "mono"));
  if (others) rows.push(row("all others", others));
  $("paths").replaceChildren(...rows);
}

function row(label, count, className = "") {
  const line = element("div");
  line.append(element("dt", className, label), element("dd", "", whole(count)));
  return line;
}

function listed(parts) {
  return parts.join(" · ");
}

/** A long time in its two largest units. */
function long(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  return days ? `${days} d ${hours} h` : duration(seconds);
}

const DATE = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
