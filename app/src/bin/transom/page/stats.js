// The server's statistics: every two seconds a session on /stats, whose one stream holds a JSON object.
import { openSession, readText } from "./connection.js";
import { bytes, duration, element, whole } from "./words.js";

const EVERY = 2000;

export function startStats(connection) {
  const list = document.getElementById("stats-list");
  const age = document.getElementById("stats-age");
  const empty = document.getElementById("stats-empty");
  let busy = false;
  let seen = 0;

  async function read() {
    if (busy || document.hidden || !connection.open) return;
    busy = true;
    try {
      const numbers = await once(connection.config);
      if (!connection.open) return;
      fill(list, numbers);
      seen++;
      list.dataset.reads = String(seen);
      empty.hidden = true;
      age.textContent = `Read at ${new Date().toLocaleTimeString()}`;
    } catch (error) {
      if (connection.open) age.textContent = `Could not be read: ${error.message}`;
    } finally {
      busy = false;
    }
  }

  connection.addEventListener("state", () => {
    if (connection.state === "connected") read();
    else if (!connection.open && seen) age.textContent = "Last read before the connection ended";
  });
  document.addEventListener("visibilitychange", read);
  setInterval(read, EVERY);
}

async function once(config) {
  const transport = await openSession(config, "/stats");
  try {
    const reader = transport.incomingUnidirectionalStreams.getReader();
    const { value, done } = await reader.read();
    if (done) throw new Error("the server sent no statistics");
    return JSON.parse(await readText(value));
  } finally {
    try {
      transport.close();
    } catch {
      // It was closed already.
    }
  }
}

/** Whatever the server counts is shown: keys with the same first word become a group, the others stand before. */
function fill(list, numbers) {
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
  list.replaceChildren(...known.map(([head, members]) => block(head, members)));
}

function block(head, members) {
  const section = element("section");
  const rows = element("dl", "facts");
  members.sort((one, other) => rank(one.label) - rank(other.label));
  for (const { key, label, value } of members) {
    const line = element("div");
    line.dataset.key = key;
    line.append(element("dt", "", words(label || head)), element("dd", "", figure(key, value)));
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

function figure(key, value) {
  if (typeof value !== "number") return Array.isArray(value) ? value.join(", ") : String(value);
  if (/_?(seconds|secs|_s)$/i.test(key)) return duration(value);
  if (/_ms$/i.test(key)) return `${whole(value)} ms`;
  if (/_us$/i.test(key)) return `${whole(value)} µs`;
  if (/bytes/i.test(key)) return bytes(value);
  return whole(value);
}
