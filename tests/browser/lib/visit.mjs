// What every client with the W3C API does at the recorder: a session, a bidirectional stream read back, a unidirectional
// stream, a datagram read back, a close. This one function is sent whole into a page.

export async function visit({ url, hash }) {
  const value = Uint8Array.from(hash.match(/../g), (pair) => parseInt(pair, 16));
  const session = new WebTransport(url, {
    serverCertificateHashes: [{ algorithm: "sha-256", value }],
    protocols: ["chat", "moq-00"],
  });
  await session.ready;
  const bytes = (text) => new TextEncoder().encode(text);
  const bidi = await session.createBidirectionalStream();
  const over = bidi.writable.getWriter();
  await over.write(bytes("over and back"));
  await over.close();
  const reader = bidi.readable.getReader();
  // Deno ends no stream when its writer is closed, so the echo may never end.
  const echo = (async () => {
    while (!(await reader.read()).done);
  })();
  await Promise.race([echo, new Promise((resolve) => setTimeout(resolve, 500))]);
  const uni = (await session.createUnidirectionalStream()).getWriter();
  await uni.write(bytes("one way"));
  await uni.close();
  const answer = session.datagrams.readable.getReader().read();
  await (session.datagrams.createWritable?.() ?? session.datagrams.writable).getWriter().write(bytes("datagram"));
  await answer;
  session.close({ closeCode: 7, reason: "done" });
  await new Promise((resolve) => setTimeout(resolve, 500));
}
