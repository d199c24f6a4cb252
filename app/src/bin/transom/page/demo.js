// The demo page: the connection panel, and the start of the other panels.
//
// With #idle in the address the page waits for the Connect button instead of connecting by itself.
import { Connection, loadConfig } from "./connection.js";
import { startChat } from "./chat.js";
import { startEcho } from "./echo.js";
import { startRoundTrip } from "./roundtrip.js";
import { startStats } from "./stats.js";
import { duration, explain, milliseconds, whole, whyUnsupported } from "./words.js";

const $ = (id) => document.getElementById(id);

const STATES = {
  idle: "Not connected",
  connecting: "Connecting…",
  connected: "Connected",
  draining: "Server is going away",
  failed: "Disconnected",
};

const DELIVERY = {
  "supports-unreliable": "streams and datagrams",
  "reliable-only": "streams only",
  pending: "not known yet",
};

function start() {
  const missing = whyUnsupported();
  if (missing) {
    $("unsupported-title").textContent = missing.title;
    $("unsupported-text").textContent = missing.text;
    $("unsupported").hidden = false;
    $("connect").disabled = true;
    $("state-text").textContent = "Not supported";
    showConfig();
    return;
  }
  const connection = new Connection();
  startEcho(connection);
  startRoundTrip(connection);
  startChat(connection);
  startStats(connection);
  connection.addEventListener("state", () => show(connection));
  $("connect").addEventListener("click", () => (connection.open ? connection.disconnect() : connection.connect()));
  $("copy-hash").addEventListener("click", copyHash);
  setInterval(() => showChanging(connection), 1000);
  addEventListener("pagehide", () => connection.open && connection.disconnect());
  if (location.hash === "#idle") showConfig();
  else connection.connect();
}

async function showConfig() {
  try {
    fill(await loadConfig());
  } catch {
    // Connect says it in words.
  }
}

function fill(config) {
  $("version").textContent = config.version ?? "";
  $("server-url").textContent = config.url;
  $("certificate-hash").textContent = config.certificate_sha256 ? grouped(config.certificate_sha256) : "checked by the browser";
  $("certificate-hash").dataset.value = config.certificate_sha256 ?? "";
  $("copy-hash").disabled = !config.certificate_sha256;
}

function show(connection) {
  const { state, transport, config, failure } = connection;
  $("state-pill").dataset.state = state;
  $("state-text").textContent = STATES[state];
  const button = $("connect");
  button.textContent = connection.open ? "Disconnect" : "Connect";
  button.dataset.on = String(connection.open);
  button.disabled = state === "connecting";
  if (config) fill(config);

  $("ready-after").textContent = connection.open ? `${milliseconds(connection.readyAfter)} ms` : "–";
  $("reliability").textContent = transport ? (DELIVERY[transport.reliability] ?? DELIVERY["supports-unreliable"]) : "–";
  $("protocol-row").hidden = !transport?.protocol;
  $("protocol").textContent = transport?.protocol || "–";
  showChanging(connection);

  $("problem").hidden = !failure;
  if (failure) {
    const { title, text } = explain(failure, config);
    $("problem-title").textContent = title;
    $("problem-text").textContent = text;
  }
}

/** What changes while connected: the time, and the largest datagram, which the browser learns on the way. */
function showChanging(connection) {
  const limit = connection.transport?.datagrams.maxDatagramSize;
  $("max-datagram").textContent = limit ? `${whole(limit)} bytes` : "–";
  $("connected-for").textContent = connection.open ? duration((Date.now() - connection.since) / 1000) : "–";
}

/** In groups of eight, so that two hashes can be compared by eye. */
function grouped(hex) {
  return (hex.match(/.{1,8}/g) ?? []).join(" ");
}

async function copyHash() {
  const button = $("copy-hash");
  try {
    await navigator.clipboard.writeText($("certificate-hash").dataset.value);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("certificate-hash"));
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

start();
