// Pings the server by datagram and by stream, keeps the last half minute, and feeds plot and table.
import { PING } from "./connection.js";
import { Plot } from "./plot.js";
import { milliseconds, whole } from "./words.js";

const EVERY = 100;
const SPAN = 30_000;
const LOST_AFTER = 2000;
const FRAME = 8;

class Series {
  samples = [];
  lost = [];
  #sent = new Map();

  constructor(name, canLose) {
    this.name = name;
    this.canLose = canLose;
  }

  send(number) {
    this.#sent.set(number, performance.now());
  }

  back(number) {
    const at = this.#sent.get(number);
    if (at === undefined) return;
    this.#sent.delete(number);
    this.samples.push({ at, ms: performance.now() - at });
  }

  tidy(now) {
    for (const [number, at] of this.#sent) {
      if (now - at < LOST_AFTER) break;
      if (!this.canLose && now - at < SPAN) continue;
      this.#sent.delete(number);
      if (this.canLose) this.lost.push(at);
    }
    while (this.samples.length && now - this.samples[0].at > SPAN) this.samples.shift();
    while (this.lost.length && now - this.lost[0] > SPAN) this.lost.shift();
  }

  forget() {
    this.#sent.clear();
  }

  clear() {
    this.forget();
    this.samples = [];
    this.lost = [];
  }

  figures() {
    const sorted = this.samples.map(({ ms }) => ms).sort((a, b) => a - b);
    const at = (part) => (sorted.length ? milliseconds(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]) : "–");
    return {
      count: whole(sorted.length),
      min: at(0), median: at(0.5), p95: at(0.95),
      lost: this.canLose ? whole(this.lost.length) : "–",
    };
  }
}

export function startRoundTrip(connection) {
  const canvas = document.getElementById("rtt-plot");
  const empty = document.getElementById("rtt-empty");
  const pause = document.getElementById("rtt-pause");
  const plot = new Plot(canvas);
  const datagram = new Series("datagram", true);
  const stream = new Series("stream", false);
  const all = [datagram, stream];
  let number = 0;
  let writer = null;
  let clock = 0;
  let paused = false;
  let drawnAt = 0;
  let stoppedAt = null;
  let lastWords = 0;

  connection.onDatagram(PING, (bytes) => {
    if (bytes.length === 4) datagram.back(numberIn(bytes));
  });

  connection.addEventListener("state", () => {
    if (connection.state === "connected") open(connection.transport);
    else if (!connection.open) close();
    pause.disabled = !connection.open;
  });

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    hold();
  });
  document.addEventListener("visibilitychange", hold);

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  requestAnimationFrame(function frame(now) {
    requestAnimationFrame(frame);
    if (now - drawnAt < (calm.matches ? 1000 : 50)) return;
    drawnAt = now;
    show(stoppedAt ?? performance.now());
  });

  async function open(transport) {
    for (const one of all) one.clear();
    stoppedAt = null;
    try {
      const { readable, writable } = await transport.createBidirectionalStream();
      if (connection.transport !== transport) return;
      writer = writable.getWriter();
      readFrames(readable).catch(() => {});
    } catch {
      writer = null; // the connection has ended; its state says so
    }
    clearInterval(clock);
    clock = setInterval(ping, EVERY);
    hold();
  }

  function close() {
    clearInterval(clock);
    clock = 0;
    writer = null;
    stoppedAt ??= performance.now();
    for (const one of all) one.forget();
  }

  /** While paused or out of sight nothing is sent, and the picture stands still. */
  function hold() {
    if (!connection.open) return;
    const still = paused || document.hidden;
    if (still) {
      stoppedAt ??= performance.now();
      for (const one of all) one.forget();
    } else {
      stoppedAt = null;
    }
  }

  function ping() {
    if (paused || document.hidden || !connection.open) return;
    const id = (number = (number + 1) >>> 0);
    const small = new Uint8Array(4);
    new DataView(small.buffer).setUint32(0, id);
    datagram.send(id);
    connection.sendDatagram(PING, small).catch(() => {});
    if (!writer) return;
    const framed = new Uint8Array(FRAME);
    framed.set(small);
    stream.send(id);
    writer.write(framed).catch(() => {});
  }

  async function readFrames(readable) {
    const reader = readable.getReader();
    let rest = new Uint8Array(0);
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const whole = new Uint8Array(rest.length + value.length);
      whole.set(rest);
      whole.set(value, rest.length);
      let from = 0;
      for (; whole.length - from >= FRAME; from += FRAME) stream.back(numberIn(whole.subarray(from)));
      rest = whole.slice(from);
    }
  }

  function show(now) {
    for (const one of all) one.tidy(now);
    const any = all.some(({ samples, lost }) => samples.length || lost.length);
    empty.hidden = any;
    empty.textContent = connection.open ? "Waiting for the first round trip…" : "Connect to see round trips.";
    plot.draw(all, now, SPAN);
    if (performance.now() - lastWords < 500) return;
    lastWords = performance.now();
    for (const one of all) {
      const figures = one.figures();
      for (const cell of document.querySelectorAll(`#rtt-${one.name} [data-figure]`)) {
        cell.textContent = figures[cell.dataset.figure];
      }
    }
    const d = datagram.figures();
    const s = stream.figures();
    canvas.setAttribute("aria-label", any
      ? `Round-trip times of the last 30 seconds. Median ${d.median} milliseconds by datagram, ${s.median} by stream; ${d.lost} datagrams lost.`
      : "Round-trip times; no samples yet");
  }
}

function numberIn(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}
