// Helpers that run inside the page, as the global object `t`. This one function is sent there whole.

export function installHelpers({ url, hash }) {
  const value = Uint8Array.from(hash.match(/../g), (pair) => parseInt(pair, 16));
  const hashes = [{ algorithm: "sha-256", value }];
  const LIMIT = 60_000;

  /** Fails with the name of what was waited for, so that a hanging promise says which it was. */
  function settled(what, promise) {
    let timer;
    const limit = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} did not settle`)), LIMIT);
    });
    return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
  }

  function open(path, options = {}) {
    const session = new WebTransport(url + path, { serverCertificateHashes: hashes, ...options });
    session.closed.catch(() => {});
    session.ready.catch(() => {});
    session.draining?.catch?.(() => {});
    return session;
  }

  async function connect(path, options) {
    const session = open(path, options);
    await settled(`ready of ${path}`, session.ready);
    return session;
  }

  /** "refused" when the session is not granted. */
  async function refusal(path, options) {
    const session = open(path, options);
    return settled(`ready of ${path}`, session.ready.then(() => "granted", () => "refused"));
  }

  /** { code, reason } of an orderly end, { error } of another. */
  function ending(session) {
    return settled("closed", session.closed.then(
      ({ closeCode, reason }) => ({ code: closeCode, reason }),
      (error) => ({ error: error.name, message: error.message }),
    ));
  }

  async function readBytes(readable) {
    const reader = readable.getReader();
    const parts = [];
    for (;;) {
      const { value: part, done } = await settled("read", reader.read());
      if (done) break;
      parts.push(part);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  async function readText(readable) {
    return new TextDecoder().decode(await readBytes(readable));
  }

  async function write(writable, bytes) {
    const writer = writable.getWriter();
    for (let from = 0; from < bytes.length; from += 65536) {
      await settled("write", writer.write(bytes.subarray(from, from + 65536)));
    }
    await settled("close of a stream", writer.close());
  }

  async function take(streams) {
    const reader = streams.getReader();
    const { value: stream, done } = await settled("an incoming stream", reader.read());
    reader.releaseLock();
    if (done) throw new Error("no more incoming streams");
    return stream;
  }

  async function echoBidi(session, bytes) {
    const stream = await settled("createBidirectionalStream", session.createBidirectionalStream());
    const [back] = await Promise.all([readBytes(stream.readable), write(stream.writable, bytes)]);
    return back;
  }

  async function echoUni(session, bytes) {
    const writable = await settled("createUnidirectionalStream", session.createUnidirectionalStream());
    await write(writable, bytes);
    return readBytes(await take(session.incomingUnidirectionalStreams));
  }

  /** Sends the datagram again and again until it comes back: one may be lost, even here. */
  async function echoDatagram(session, bytes) {
    const writer = (session.datagrams.writable ?? session.datagrams.createWritable()).getWriter();
    const reader = session.datagrams.readable.getReader();
    const repeat = setInterval(() => writer.write(bytes).catch(() => {}), 200);
    try {
      await writer.write(bytes);
      for (;;) {
        const { value: back, done } = await settled("a datagram", reader.read());
        if (done) throw new Error("datagrams ended");
        if (same(back, bytes)) return back;
      }
    } finally {
      clearInterval(repeat);
      reader.releaseLock();
      writer.releaseLock();
    }
  }

  function noise(length) {
    const bytes = new Uint8Array(length);
    for (let from = 0; from < length; from += 65536) crypto.getRandomValues(bytes.subarray(from, from + 65536));
    return bytes;
  }

  function same(one, other) {
    return one.length === other.length && one.every((byte, i) => byte === other[i]);
  }

  /** The error constructor has had two shapes. */
  function streamError(code) {
    try {
      const error = new WebTransportError("test", { streamErrorCode: code });
      if (error.streamErrorCode === code) return error;
    } catch {
      // The older shape, below.
    }
    return new WebTransportError({ streamErrorCode: code, message: "test" });
  }

  async function failureOf(promise) {
    return settled("a failure", promise.then(
      () => ({ failed: false }),
      (error) => ({ failed: true, name: error.name, code: error.streamErrorCode ?? null }),
    ));
  }

  const bytesOf = (text) => new TextEncoder().encode(text);
  globalThis.t = {
    open, connect, refusal, ending, readBytes, readText, write, take, echoBidi, echoUni, echoDatagram,
    noise, same, streamError, failureOf, bytesOf, settled,
  };
}
