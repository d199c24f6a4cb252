// The echo panel: text out over one of three ways, and the same text back.
import { TEXT } from "./connection.js";
import { appendLine, element, milliseconds, whole } from "./words.js";

const NAMES = { bidi: "bidi", uni: "uni", datagram: "datagram" };
const LOST_AFTER = 3000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function startEcho(connection) {
  const form = document.getElementById("echo-form");
  const input = document.getElementById("echo-text");
  const send = document.getElementById("echo-send");
  const log = document.getElementById("echo-log");
  /** Echoes on the way back, by number: datagrams and uni streams come back unasked. */
  const waiting = new Map();
  let number = 0;

  connection.addEventListener("state", () => {
    send.disabled = !connection.open;
    if (connection.open) return;
    for (const [id, entry] of waiting) {
      settle(entry, "failed", "connection ended");
      waiting.delete(id);
    }
  });

  connection.onDatagram(TEXT, (bytes) => returned(bytes));
  connection.onStream(async (readable) => {
    try {
      returned(await readBytes(readable));
    } catch {
      // The stream was reset; the entry it belonged to is settled when the connection ends.
    }
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!connection.open) return;
    const kind = new FormData(form).get("kind");
    const text = input.value;
    const entry = addLine(log, kind, text);
    one(kind, text, entry).catch((error) => settle(entry, "failed", failureWords(error)));
    input.select();
  });

  document.getElementById("echo-clear").addEventListener("click", () => log.replaceChildren());

  async function one(kind, text, entry) {
    const body = encoder.encode(text);
    if (kind === "bidi") return echoOnBidiStream(body, entry);
    const id = ++number;
    const message = new Uint8Array(4 + body.length);
    new DataView(message.buffer).setUint32(0, id);
    message.set(body, 4);
    waiting.set(id, { ...entry, text });
    try {
      if (kind === "uni") await sendOnUniStream(message);
      else await sendDatagram(message, id);
    } catch (error) {
      waiting.delete(id);
      throw error;
    }
  }

  async function echoOnBidiStream(body, entry) {
    const stream = await connection.transport.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    if (body.length) writer.write(body).catch(() => {});
    writer.close().catch(() => {});
    finish(entry, decoder.decode(await readBytes(stream.readable)), decoder.decode(body));
  }

  async function sendOnUniStream(message) {
    const writer = (await connection.transport.createUnidirectionalStream()).getWriter();
    await writer.write(message);
    await writer.close();
  }

  async function sendDatagram(message, id) {
    const limit = connection.transport.datagrams.maxDatagramSize;
    // Five bytes in front: one says whose it is, four number it.
    if (message.length + 1 > limit) throw new RangeError(`too long: at most ${whole(limit - 5)} bytes fit`);
    await connection.sendDatagram(TEXT, message);
    setTimeout(() => {
      const entry = waiting.get(id);
      if (!entry) return;
      waiting.delete(id);
      settle(entry, "lost", "lost on the way");
    }, LOST_AFTER);
  }

  function returned(bytes) {
    if (bytes.length < 4) return;
    const id = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
    const entry = waiting.get(id);
    if (!entry) return;
    waiting.delete(id);
    finish(entry, decoder.decode(bytes.subarray(4)), entry.text);
  }
}

function addLine(log, kind, text) {
  const line = element("li");
  line.dataset.state = "waiting";
  line.dataset.kind = kind;
  const shown = element("span", "text", text);
  const result = element("span", "result", "waiting…");
  line.append(element("span", "tag", NAMES[kind]), shown, result);
  appendLine(log, line);
  return { line, shown, result, start: performance.now() };
}

function finish(entry, got, sent) {
  const took = performance.now() - entry.start;
  entry.shown.textContent = got;
  if (got === sent) settle(entry, "done", `back in ${milliseconds(took)} ms`);
  else settle(entry, "failed", "came back changed");
}

function settle({ line, result }, state, text) {
  line.dataset.state = state;
  result.textContent = text;
}

function failureWords(error) {
  if (error instanceof RangeError) return error.message;
  return error?.message ? `failed: ${error.message}` : "failed";
}

async function readBytes(readable) {
  return new Uint8Array(await new Response(readable).arrayBuffer());
}
