// The chat room: one session on /chat; every datagram is a JSON object that the server relays to the others.
import { datagramWriter, openSession } from "./connection.js";
import { appendLine, element } from "./words.js";

const HERE_EVERY = 20_000;
/** Longer than the minute to which browsers slow the timers of tabs in the background. */
const GONE_AFTER = 150_000;
/** The room takes no longer message, in bytes. */
const LONGEST = 1000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function startChat(connection) {
  const $ = (id) => document.getElementById(id);
  const log = $("chat-log");
  const name = $("chat-name");
  const text = $("chat-text");
  const id = crypto.randomUUID();
  /** Everyone else heard of: id -> { name, heard }. */
  const people = new Map();
  let transport = null;
  let writer = null;
  let own = "";
  let clock = 0;

  name.value = recall();

  connection.addEventListener("state", () => {
    $("chat-join").disabled = !connection.open;
    if (connection.state === "idle") leave();
  });

  $("chat-join-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = name.value.trim();
    if (!wanted || transport || !connection.open) return;
    $("chat-join").disabled = true;
    try {
      await join(wanted);
    } catch (error) {
      complain(`The chat room cannot be entered. Check that the server is running, then join again. (${error.message})`);
    }
    $("chat-join").disabled = !connection.open;
  });

  $("chat-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const words = text.value.trim();
    if (!words || !transport) return;
    try {
      await tell("say", words);
      line("own", own, words);
      text.value = "";
      complain("");
    } catch (error) {
      complain(error instanceof RangeError ? error.message : `The message was not sent. (${error.message})`);
    }
  });

  $("chat-leave").addEventListener("click", () => leave());
  // pagehide, not unload: a page kept for "back" leaves the room too.
  addEventListener("pagehide", () => leave());

  async function join(wanted) {
    const opened = await openSession(connection.config, "/chat");
    transport = opened;
    writer = datagramWriter(opened);
    own = wanted;
    keep(wanted);
    complain("");
    people.clear();
    show(true);
    line("system", "", `You joined as ${own}.`);
    listen(opened).catch(() => {});
    opened.closed.then(
      ({ closeCode, reason }) => lost(opened, `The server closed the room${reason ? `: ${reason}` : closeCode ? ` (code ${closeCode})` : ""}.`),
      () => lost(opened, "The connection to the room was lost. Join again when the server is back."),
    );
    await tell("join");
    clock = setInterval(() => {
      tell("here").catch(() => {});
      for (const [other, { name: who, heard }] of people) {
        if (Date.now() - heard < GONE_AFTER) continue;
        people.delete(other);
        line("system", "", `${who} is no longer heard.`);
      }
      count();
    }, HERE_EVERY);
    text.focus();
  }

  function leave() {
    if (!transport) return;
    const closing = transport;
    const said = tell("leave").catch(() => {});
    line("system", "", "You left.");
    reset();
    // The farewell is a datagram: give it the moment it needs to go out before the session closes.
    said.then(() => setTimeout(() => shut(closing), 50));
  }

  function lost(which, words) {
    if (which !== transport) return;
    line("system", "", words);
    reset();
  }

  function reset() {
    clearInterval(clock);
    transport = writer = null;
    people.clear();
    show(false);
  }

  async function tell(kind, words) {
    const message = { kind, id, name: own };
    if (words !== undefined) message.text = words;
    const bytes = encoder.encode(JSON.stringify(message));
    if (bytes.length > Math.min(LONGEST, transport.datagrams.maxDatagramSize)) {
      throw new RangeError("That message is too long for one datagram; please shorten it.");
    }
    await writer.write(bytes);
  }

  async function listen(from) {
    const reader = from.datagrams.readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || from !== transport) return;
      const message = parse(value);
      if (message) hear(message);
    }
  }

  function hear({ kind, id: other, name: who, text: words }) {
    const known = people.has(other);
    if (other && kind !== "leave") people.set(other, { name: who, heard: Date.now() });
    if (kind === "join") {
      if (!known) line("system", "", `${who} joined.`);
      tell("here").catch(() => {});
    } else if (kind === "leave") {
      people.delete(other);
      line("system", "", `${who} left.`);
    } else if (kind === "here") {
      if (!known) line("system", "", `${who} is here.`);
    } else if (words) {
      line("other", who, words);
    }
    count();
  }

  function show(inside) {
    $("chat-join-form").hidden = inside;
    $("chat-form").hidden = !inside;
    count();
  }

  function count() {
    const others = [...people.values()].map(({ name: who }) => who);
    $("chat-people").textContent = !transport ? "" : others.length ? `With ${listed(others)}` : "Nobody else here yet";
  }

  function line(kind, who, words) {
    const item = element("li");
    item.dataset.kind = kind;
    const now = new Date();
    const time = element("time", "", now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    time.dateTime = now.toISOString();
    item.append(time);
    if (who) item.append(element("span", "who", who));
    item.append(element("span", "words", words));
    appendLine(log, item);
  }

  function complain(words) {
    $("chat-error").textContent = words;
    $("chat-error").hidden = !words;
  }
}

/** A message with the fields in use, cut to size; null for anything else. Others may send whatever they like. */
function parse(bytes) {
  try {
    const message = JSON.parse(decoder.decode(bytes));
    if (typeof message !== "object" || message === null) return null;
    const field = (key, longest) => (typeof message[key] === "string" ? message[key].slice(0, longest) : "");
    return { kind: field("kind", 8), id: field("id", 40), name: field("name", 32) || "Somebody", text: field("text", 2000) };
  } catch {
    return null;
  }
}

function listed(names) {
  if (names.length > 3) return `${names.slice(0, 2).join(", ")} and ${names.length - 2} others`;
  return new Intl.ListFormat("en").format(names);
}

function shut(transport) {
  try {
    transport.close({ closeCode: 0, reason: "" });
  } catch {
    // It was closed already.
  }
}

function recall() {
  try {
    return sessionStorage.getItem("chat-name") ?? "";
  } catch {
    return "";
  }
}

function keep(name) {
  try {
    sessionStorage.setItem("chat-name", name);
  } catch {
    // Storage is switched off; the name is typed again next time.
  }
}
