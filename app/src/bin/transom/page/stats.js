// The server's statistics: a session on /stats/live, where each second a stream holds a JSON object.
import { openSession, readText } from "./connection.js";
import { showDiagnostics } from "./diagnostics.js";
import { Rates } from "./rates.js";
import { bytes, duration, element, whole } from "./words.js";

/** After a session was lost, and while there is none. */
const RETRY = 1000;

export function startStats(connection) {
  const list = document.getElementById("stats-list");
  const age = document.getElementById("stats-age");
  const empty = document.getElementById("stats-empty");
  const rates = new Rates();
  let transport = null;
  let opening = false;
  let seen = 0;

  const wanted = () => connection.open && !document.hidden;

  function show(numbers) {
    const { diagnostics: _, ...counters } = numbers;
    showDiagnostics(numbers);
    fill(list, counters, rates.of(counters));
    seen++;
    list.dataset.reads = String(seen);
    empty.hidden = true;
    age.textContent = `As of ${new Date().toLocaleTimeString()}`;
  }

  /** Opens the session when there should be one, and ends it when there should not. */
  async function follow() {
    if (!wanted()) {
      end(transport);
      return;
    }
    if (opening || transport) return;
    opening = true;
    rates.forget();
    try {
      transport = await openSession(connection.config, "/stats/live");
      if (!wanted()) end(transport);
      else await readAll(transport, show);
    } catch (error) {
      if (wanted()) age.textContent = `Could not be read: ${error.message}`;
    } finally {
      end(transport);
      transport = null;
      opening = false;
    }
  }

  connection.addEventListener("state", () => {
    follow();
    if (!connection.open && seen) age.textContent = "As of the end of the connection";
  });
  document.addEventListener("visibilitychange", follow);
  setInterval(follow, RETRY);
}

/** Gives each object to `show` until the session is over. */
async function readAll(transport, show) {
  const reader = transport.incomingUnidirectionalStreams.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    show(JSON.parse(await readText(value)));
  }
}

function end(transport) {
  try {
    transport?.close();
  } catch {
    // It was closed already.
  }
}

/** Whatever the server counts is shown: keys with the same first word become a group, the others stand before. */
function fill(list, numbers, rates) {
  const groups = new Map();
  for (const [key, value] of Object.entries(flatten(numbers))) {
    const [head, ...rest] = key.split("_");
    const group = groups.get(head) ?? groups.set(head, []).get(head);
    group.push({ key, label: rest.join("_"), value });
  }
  const server = [];
  for (const [head, [only, ...more]] of groups) {
    if (more.length) continue;
    groups.delete(head);
    // The version stands at the top of the page.
    if (only.key !== "version") server.push({ ...only, label: only.key });
  }
  const known = [...groups].sort(([one], [other]) => rank(one) - rank(other));
  if (server.length) known.unshift(["server", server]);
  list.replaceChildren(...known.map(([head, members]) => block(head, members, rates)));
}

function block(head, members, rates) {
  const section = element("section");
  const rows = element("dl", "facts");
  members.sort((one, other) => rank(one.label) - rank(other.label));
  for (const { key, label, value } of members) {
    const line = element("div");
    line.dataset.key = key;
    line.append(element("dt", "", words(label || head)), element("dd", "", figure(key, value)));
    if (rates.has(key)) line.append(element("dd", "rate", `${rate(key, rates.get(key))}/s`));
    rows.append(line);
  }
  section.append(element("h3", "", words(head)), rows);
  return section;
}

/** What people look for first; the rest follows as the server gives it. */
const ORDER = [
  "uptime_seconds", "connections", "sessions", "streams", "datagrams", "udp",
  "open", "accepted", "opened", "opened_by_peer", "received", "sent", "refused", "lost", "dropped",
  "datagrams_received", "datagrams_sent", "bytes_received", "bytes_sent",
];

function rank(word) {
  const at = ORDER.indexOf(word);
  return at < 0 ? ORDER.length : at;
}

/** Nested objects as `outer_inner` keys. */
function flatten(object, prefix = "") {
  return Object.entries(object).reduce((flat, [key, value]) => {
    const nested = typeof value === "object" && value !== null && !Array.isArray(value);
    return Object.assign(flat, nested ? flatten(value, `${prefix}${key}_`) : { [prefix + key]: value });
  }, {});
}

/** `bytes_in` and `uptimeSeconds` as people write them. */
function words(key) {
  const split = key
    .replace(/_(seconds|secs|s|ms|us)$/i, "")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
  return (split.charAt(0).toUpperCase() + split.slice(1)).replace(/\b(udp|quic|tls|rtt)\b/gi, (word) => word.toUpperCase());
}

function rate(key, value) {
  if (/bytes/i.test(key)) return bytes(Math.round(value));
  return value < 10 ? String(Number(value.toFixed(1))) : whole(Math.round(value));
}

function figure(key, value) {
  if (typeof value !== "number") return Array.isArray(value) ? value.join(", ") : String(value);
  if (/_?(seconds|secs|_s)$/i.test(key)) return duration(value);
  if (/_ms$/i.test(key)) return `${whole(value)} ms`;
  if (/_us$/i.test(key)) return `${whole(value)} µs`;
  if (/bytes/i.test(key)) return bytes(value);
  return whole(value);
}
