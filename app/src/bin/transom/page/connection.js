// One WebTransport session to the demo server, shared by the echo and the round-trip panel.

/** The first byte of a datagram on the shared session says whose it is. */
export const PING = 0;
export const TEXT = 1;

export async function loadConfig() {
  const response = await fetch("/config.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`/config.json answered ${response.status}`);
  return response.json();
}

/** Opens a session on `path` and waits until it is ready. */
export async function openSession(config, path) {
  const options = {};
  if (config.certificate_sha256) {
    options.serverCertificateHashes = [{ algorithm: "sha-256", value: bytesOfHex(config.certificate_sha256) }];
  }
  const transport = new WebTransport(config.url + path, options);
  transport.closed.catch(() => {}); // whoever cares looks at `closed` itself
  await transport.ready;
  return transport;
}

export function bytesOfHex(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Reads a stream to its end and returns the text. */
export async function readText(readable) {
  const decoder = new TextDecoder();
  const reader = readable.getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
  }
}

/** A datagram writer under either of the two names the API has had for it. */
export function datagramWriter(transport) {
  const { datagrams } = transport;
  return (datagrams.writable ?? datagrams.createWritable()).getWriter();
}

/**
 * The shared session. Events: `state` (read `state`, `failure`), where state is one of
 * idle, connecting, connected, draining, failed.
 */
export class Connection extends EventTarget {
  state = "idle";
  config = null;
  transport = null;
  failure = null;
  readyAfter = 0;
  since = 0;
  #datagramTakers = new Map();
  #streamTaker = null;
  #writer = null;
  #attempt = 0;

  get open() {
    return this.state === "connected" || this.state === "draining";
  }

  /** `take(bytes)` gets the datagrams that start with the byte `first`, without that byte. */
  onDatagram(first, take) {
    this.#datagramTakers.set(first, take);
  }

  /** `take(readable)` gets every uni stream the server opens. */
  onStream(take) {
    this.#streamTaker = take;
  }

  async connect() {
    if (this.open || this.state === "connecting") return;
    const attempt = ++this.#attempt;
    this.#become("connecting");
    let step = "config";
    try {
      // Asked again for each attempt: a server started anew has another certificate and perhaps another port.
      this.config = await loadConfig();
      step = "session";
      const start = performance.now();
      const transport = await openSession(this.config, "/echo");
      if (attempt !== this.#attempt) return transport.close();
      this.readyAfter = performance.now() - start;
      this.since = Date.now();
      this.transport = transport;
      this.#writer = datagramWriter(transport);
      this.#become("connected");
      this.#watch(transport);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#become("failed", { step, error });
    }
  }

  disconnect() {
    this.#attempt++;
    const { transport } = this;
    this.transport = null;
    this.#become("idle");
    try {
      transport?.close({ closeCode: 0, reason: "" });
    } catch {
      // It was closed already.
    }
  }

  sendDatagram(first, bytes) {
    const whole = new Uint8Array(bytes.length + 1);
    whole[0] = first;
    whole.set(bytes, 1);
    return this.#writer.write(whole);
  }

  #watch(transport) {
    const ended = (info, error) => {
      if (this.transport !== transport) return;
      this.transport = null;
      this.#become("failed", { step: "open", error, info });
    };
    transport.closed.then((info) => ended(info, null), (error) => ended(null, error));
    transport.draining?.then?.(() => this.transport === transport && this.#become("draining"), () => {});
    // When one of these ends, `closed` tells why.
    this.#readDatagrams(transport).catch(() => {});
    this.#readStreams(transport).catch(() => {});
  }

  async #readDatagrams(transport) {
    const reader = transport.datagrams.readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.#datagramTakers.get(value[0])?.(value.subarray(1));
    }
  }

  async #readStreams(transport) {
    const reader = transport.incomingUnidirectionalStreams.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.#streamTaker?.(value);
    }
  }

  #become(state, failure = null) {
    this.state = state;
    this.failure = failure;
    this.dispatchEvent(new Event("state"));
  }
}
