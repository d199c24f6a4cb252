// Streams of all kinds, datagrams, headers, refusals, several sessions.
import assert from "node:assert/strict";
import { startDemo } from "../lib/demo.mjs";

export const protocolScenarios = [
  {
    name: "bidi echo of a few bytes",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const back = await t.echoBidi(session, t.bytesOf("grüße"));
      session.close();
      return new TextDecoder().decode(back);
    }), "grüße"),
  },
  {
    name: "bidi echo of nothing but FIN",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const { length } = await t.echoBidi(session, new Uint8Array(0));
      session.close();
      return length;
    }), 0),
  },
  {
    name: "bidi echo answers each chunk before FIN",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const { readable, writable } = await session.createBidirectionalStream();
      const writer = writable.getWriter();
      const reader = readable.getReader();
      const heard = [];
      for (const word of ["one", "two", "three"]) {
        await writer.write(t.bytesOf(word));
        let back = "";
        while (back.length < word.length) {
          back += new TextDecoder().decode((await t.settled("a chunk", reader.read())).value);
        }
        heard.push(back);
      }
      await writer.close();
      const { done } = await t.settled("FIN", reader.read());
      session.close();
      return { heard, done };
    }), { heard: ["one", "two", "three"], done: true }),
  },
  {
    name: "bidi echo of 1 MiB",
    run: async ({ page }) => assert.ok(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const sent = t.noise(1 << 20);
      const back = await t.echoBidi(session, sent);
      session.close();
      return t.same(back, sent);
    })),
  },
  {
    name: "client uni stream comes back on a server uni stream",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const back = await t.echoUni(session, t.bytesOf("one way"));
      session.close();
      return new TextDecoder().decode(back);
    }), "one way"),
  },
  {
    name: "uni echo of 300000 bytes",
    run: async ({ page }) => assert.ok(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const sent = t.noise(300_000);
      const back = await t.echoUni(session, sent);
      session.close();
      return t.same(back, sent);
    })),
  },
  {
    name: "fifty bidi echoes at once",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const right = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
        const sent = t.noise(1000 + 97 * i);
        return t.same(await t.echoBidi(session, sent), sent);
      }));
      session.close();
      return right.filter(Boolean).length;
    }), 50),
  },
  {
    name: "a thousand bidi streams one after another",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      let right = 0;
      for (let i = 0; i < 1000; i++) {
        const sent = t.bytesOf(`stream ${i}`);
        if (t.same(await t.echoBidi(session, sent), sent)) right++;
      }
      session.close();
      return right;
    }), 1000),
  },
  {
    name: "five uni streams from the server",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => {
      const session = await t.connect("/streams/uni/5");
      const texts = [];
      for (let i = 0; i < 5; i++) texts.push(await t.readText(await t.take(session.incomingUnidirectionalStreams)));
      session.close();
      return texts.sort();
    }), ["stream0", "stream1", "stream2", "stream3", "stream4"]),
  },
  {
    name: "five bidi streams from the server, written to as well",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => {
      const session = await t.connect("/streams/bidi/5");
      const texts = [];
      for (let i = 0; i < 5; i++) {
        const stream = await t.take(session.incomingBidirectionalStreams);
        texts.push(await t.readText(stream.readable));
        // The server may have stopped reading by then; the session must bear either.
        await t.write(stream.writable, t.bytesOf("thanks")).catch(() => {});
      }
      session.close();
      return texts.sort();
    }), ["stream0", "stream1", "stream2", "stream3", "stream4"]),
  },
  {
    name: "a source of 1000000 bytes, to the byte",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/source/1000000");
      const { length } = await t.readBytes(await t.take(session.incomingUnidirectionalStreams));
      session.close();
      return length;
    }), 1_000_000),
  },
  {
    name: "a sink takes 2 MiB on bidi and uni streams",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/sink");
      await t.write(await session.createUnidirectionalStream(), t.noise(1 << 20));
      await t.write((await session.createBidirectionalStream()).writable, t.noise(1 << 20));
      session.close();
      return "written";
    }), "written"),
  },
  {
    name: "datagram echo, of 4 and of 1000 bytes",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const lengths = [];
      for (const sent of [t.bytesOf("ping"), t.noise(1000)]) lengths.push((await t.echoDatagram(session, sent)).length);
      session.close();
      return lengths;
    }), [4, 1000]),
  },
  {
    // Chromium 156 hands out no datagram any more once an empty one has come.
    name: "echo of an empty datagram, and of one after it",
    only: "firefox",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const lengths = [];
      for (const sent of [new Uint8Array(0), t.bytesOf("ping")]) lengths.push((await t.echoDatagram(session, sent)).length);
      session.close();
      return lengths;
    }), [0, 4]),
  },
  {
    name: "reset of a bidi stream is answered by a reset with the same code",
    only: "chromium",
    run: async ({ page }) => {
      for (const code of [0, 29, 30, 255]) {
        const failure = await page.evaluate(async (wanted) => {
          const session = await t.connect("/echo");
          const { readable, writable } = await session.createBidirectionalStream();
          const writer = writable.getWriter();
          const reader = readable.getReader();
          await writer.write(t.bytesOf("before"));
          await reader.read();
          writer.abort(t.streamError(wanted)).catch(() => {});
          const result = await t.failureOf(reader.read());
          session.close();
          return result;
        }, code);
        assert.deepEqual(failure, { failed: true, name: "WebTransportError", code });
      }
    },
  },
  {
    name: "reset of a bidi stream is answered by a reset (the code is not shown by this browser)",
    only: "firefox",
    run: async ({ page }) => assert.equal((await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const { readable, writable } = await session.createBidirectionalStream();
      const writer = writable.getWriter();
      const reader = readable.getReader();
      await writer.write(t.bytesOf("before"));
      await reader.read();
      writer.abort(t.streamError(30)).catch(() => {});
      const result = await t.failureOf(reader.read());
      session.close();
      return result;
    })).failed, true),
  },
  {
    // Firefox sends STOP_SENDING only when the session ends, so there is nothing to see there.
    name: "stop of a bidi stream is answered by a stop with the same code",
    only: "chromium",
    run: async ({ page }) => {
      for (const code of [0, 29, 30, 255]) {
        const failure = await page.evaluate(async (wanted) => {
          const session = await t.connect("/echo");
          const { readable, writable } = await session.createBidirectionalStream();
          const writer = writable.getWriter();
          const reader = readable.getReader();
          await writer.write(t.bytesOf("before"));
          await reader.read();
          await reader.cancel(t.streamError(wanted));
          const result = await t.failureOf(writer.closed);
          session.close();
          return result;
        }, code);
        assert.deepEqual(failure, { failed: true, name: "WebTransportError", code });
      }
    },
  },
  {
    name: "a session goes on after a reset of one of its streams",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const { writable } = await session.createBidirectionalStream();
      const writer = writable.getWriter();
      await writer.write(t.bytesOf("half a mess"));
      await writer.abort(t.streamError(1)).catch(() => {});
      const back = await t.echoBidi(session, t.bytesOf("still here"));
      session.close();
      return new TextDecoder().decode(back);
    }), "still here"),
  },
  {
    name: "request headers arrive: origin and draft",
    run: async ({ page }) => {
      const { headers, origin } = await page.evaluate(async () => {
        const session = await t.connect("/headers");
        const text = await t.readText(await t.take(session.incomingUnidirectionalStreams));
        session.close();
        return { headers: JSON.parse(text), origin: location.origin };
      });
      assert.equal(headers.origin, origin);
      assert.equal(headers["sec-webtransport-http3-draft02"], "1");
    },
  },
  {
    name: "request headers arrive: user-agent and sec-fetch",
    only: "firefox",
    run: async ({ page }) => {
      const { headers, agent } = await page.evaluate(async () => {
        const session = await t.connect("/headers");
        const text = await t.readText(await t.take(session.incomingUnidirectionalStreams));
        session.close();
        return { headers: JSON.parse(text), agent: navigator.userAgent };
      });
      assert.equal(headers["user-agent"], agent);
      assert.equal(headers["sec-fetch-dest"], "webtransport");
    },
  },
  {
    name: "statistics are a JSON object, and the session stays open",
    run: async ({ page }) => {
      const { statistics, ended } = await page.evaluate(async () => {
        const session = await t.connect("/stats");
        const text = await t.readText(await t.take(session.incomingUnidirectionalStreams));
        let closed = false;
        session.closed.then(() => (closed = true), () => (closed = true));
        await t.connect("/echo").then((other) => t.echoBidi(other, t.bytesOf("x")).then(() => other.close()));
        const was = closed;
        session.close();
        return { statistics: JSON.parse(text), ended: was };
      });
      assert.equal(typeof statistics, "object");
      assert.ok(Object.keys(statistics).length > 0);
      assert.equal(ended, false);
    },
  },
  {
    name: "refused: /status/403, /status/503 and an unknown path",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => [
      await t.refusal("/status/403"), await t.refusal("/status/503"), await t.refusal("/nothing/here"), await t.refusal("/"),
    ]), ["refused", "refused", "refused", "refused"]),
  },
  {
    name: "a foreign origin is refused, and granted when it is allowed",
    run: async ({ browser, demo, site, after }) => {
      const elsewhere = await browser.open(`${site.origin}/`);
      after(() => elsewhere.close());
      await elsewhere.prepare(demo);
      assert.equal(await elsewhere.evaluate(() => t.refusal("/echo")), "refused");
      const open = await startDemo({ origins: [site.origin] });
      after(() => open.stop());
      await elsewhere.prepare(open);
      assert.equal(await elsewhere.evaluate(() => t.refusal("/echo")), "granted");
    },
  },
  {
    name: "both names of the page's own address are granted",
    run: async ({ browser, demo, page, after }) => {
      assert.equal(await page.evaluate(() => t.refusal("/echo")), "granted");
      const address = new URL(demo.web);
      address.hostname = address.hostname === "localhost" ? "127.0.0.1" : "localhost";
      const other = await browser.open(`${address.origin}/#idle`);
      after(() => other.close());
      await other.prepare(demo);
      assert.equal(await other.evaluate(() => t.refusal("/echo")), "granted");
    },
  },
  {
    name: "ten sessions one after another",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      let right = 0;
      for (let i = 0; i < 10; i++) {
        const session = await t.connect("/echo");
        const sent = t.bytesOf(`session ${i}`);
        if (t.same(await t.echoBidi(session, sent), sent)) right++;
        session.close({ closeCode: i, reason: "next" });
      }
      return right;
    }), 10),
  },
  {
    name: "eight sessions at once, on connections of their own",
    run: async ({ page }) => assert.equal(await page.evaluate(async () => {
      const sessions = await Promise.all(Array.from({ length: 8 }, () => t.connect("/echo")));
      const right = await Promise.all(sessions.map(async (session, i) => {
        const sent = t.noise(20_000 + i);
        return t.same(await t.echoBidi(session, sent), sent) && t.same(await t.echoUni(session, sent), sent);
      }));
      sessions.forEach((session) => session.close());
      return right.filter(Boolean).length;
    }), 8),
  },
  {
    name: "the server listens on IPv6 too",
    run: async ({ demo, page }) => {
      const address = demo.udp.find((one) => one.startsWith("[::1]"));
      assert.ok(address, `no [::1] among ${demo.udp}`);
      await page.prepare({ ...demo, url: `https://${address}` });
      assert.equal(await page.evaluate(async () => {
        const session = await t.connect("/echo");
        const back = await t.echoBidi(session, t.bytesOf("six"));
        session.close();
        return new TextDecoder().decode(back);
      }), "six");
    },
  },
  {
    name: "a wrong certificate hash fails",
    run: async ({ demo, page }) => {
      await page.prepare({ ...demo, certificate_sha256: "00".repeat(32) });
      assert.equal(await page.evaluate(() => t.refusal("/echo")), "refused");
    },
  },
  {
    name: "the draft-07 flag: echo of all three kinds",
    only: "chromium",
    page: false,
    run: async ({ launch, demo, after }) => {
      const browser = await launch("chromium", { args: ["--enable-features=EnableWebTransportDraft07"] });
      after(() => browser.close());
      const page = await browser.open(`${demo.web}/#idle`);
      await page.prepare(demo);
      assert.deepEqual(await page.evaluate(async () => {
        const session = await t.connect("/echo");
        const sent = t.noise(900);
        const right = [
          t.same(await t.echoBidi(session, sent), sent),
          t.same(await t.echoUni(session, sent), sent),
          t.same(await t.echoDatagram(session, sent), sent),
        ];
        session.close();
        return right;
      }), [true, true, true]);
    },
  },
  {
    name: "without hashes: the spki list and developer mode",
    only: "chromium",
    page: false,
    run: async ({ launch, demo, after }) => {
      const browser = await launch("chromium", {
        args: [`--ignore-certificate-errors-spki-list=${demo.spki_sha256}`, "--webtransport-developer-mode"],
      });
      after(() => browser.close());
      const page = await browser.open(`${demo.web}/#idle`);
      await page.prepare(demo);
      assert.equal(await page.evaluate(() => t.refusal("/echo", { serverCertificateHashes: undefined })), "granted");
    },
  },
];
