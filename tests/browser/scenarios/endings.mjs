// How sessions end: codes and reasons both ways, FIN, drain, and a server that goes away.
import assert from "node:assert/strict";
import { startDemo, within } from "../lib/demo.mjs";

export const endingScenarios = [
  {
    name: "the server's close code and reason arrive: 4294967295",
    run: async ({ page }) => assert.deepEqual(
      await page.evaluate(async () => t.ending(await t.connect("/close/4294967295?reason=so%20long"))),
      { code: 4294967295, reason: "so long" },
    ),
  },
  {
    name: "the server's close code and reason arrive: 7, beyond ASCII, and 0 with no reason",
    run: async ({ page }) => {
      const reason = "schön war’s";
      assert.deepEqual(
        await page.evaluate(async (text) => t.ending(await t.connect(`/close/7?reason=${encodeURIComponent(text)}`)), reason),
        { code: 7, reason },
      );
      assert.deepEqual(await page.evaluate(async () => t.ending(await t.connect("/close/0"))), { code: 0, reason: "" });
    },
  },
  {
    name: "a close reason of 1024 bytes arrives whole",
    run: async ({ page }) => assert.deepEqual(
      await page.evaluate(async () => t.ending(await t.connect(`/close/9?reason=${"r".repeat(1024)}`))),
      { code: 9, reason: "r".repeat(1024) },
    ),
  },
  {
    name: "FIN without a capsule closes with 0 and no reason",
    run: async ({ page }) => assert.deepEqual(
      await page.evaluate(async () => t.ending(await t.connect("/fin"))),
      { code: 0, reason: "" },
    ),
  },
  {
    name: "the client's close settles, and the server goes on",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => {
      const session = await t.connect("/echo");
      const open = await session.createBidirectionalStream();
      await open.writable.getWriter().write(t.bytesOf("left open"));
      session.close({ closeCode: 77, reason: "done here" });
      const own = await t.ending(session);
      const next = await t.connect("/echo");
      const back = await t.echoBidi(next, t.bytesOf("after"));
      next.close();
      return { own, back: new TextDecoder().decode(back) };
    }), { own: { code: 77, reason: "done here" }, back: "after" }),
  },
  {
    name: "closing the page while streams are open leaves the server well",
    run: async ({ browser, demo, page, after }) => {
      const other = await browser.open(`${demo.web}/#idle`);
      let closed = false;
      after(() => closed || other.close());
      await other.prepare(demo);
      await other.evaluate(async () => {
        const session = await t.connect("/echo");
        for (let i = 0; i < 10; i++) {
          const { writable } = await session.createBidirectionalStream();
          await writable.getWriter().write(t.noise(5000));
        }
      });
      await other.close();
      closed = true;
      assert.equal(await page.evaluate(() => t.refusal("/echo")), "granted");
    },
  },
  {
    name: "drain: draining resolves and the session goes on (experimental features on)",
    only: "chromium",
    page: false,
    run: async ({ launch, demo, after }) => {
      const browser = await launch("chromium", { args: ["--enable-experimental-web-platform-features"] });
      after(() => browser.close());
      const page = await browser.open(`${demo.web}/#idle`);
      await page.prepare(demo);
      assert.deepEqual(await page.evaluate(async () => {
        const session = await t.connect("/drain");
        await t.settled("draining", session.draining);
        let closed = false;
        session.closed.then(() => (closed = true), () => (closed = true));
        const stream = await t.settled("a stream after the drain", session.createBidirectionalStream());
        await stream.writable.getWriter().write(t.bytesOf("x"));
        const was = closed;
        session.close({ closeCode: 1, reason: "" });
        return { was, end: await t.ending(session) };
      }), { was: false, end: { code: 1, reason: "" } });
    },
  },
  {
    name: "drain is ignored by a browser without the attribute, and the session goes on",
    run: async ({ page }) => assert.deepEqual(await page.evaluate(async () => {
      const session = await t.connect("/drain");
      const stream = await t.settled("a stream after the drain", session.createBidirectionalStream());
      await stream.writable.getWriter().write(t.bytesOf("x"));
      session.close({ closeCode: 1, reason: "" });
      return t.ending(session);
    }), { code: 1, reason: "" }),
  },
  ...["SIGTERM", "SIGINT"].map((signal) => ({
    name: `${signal} ends an open session and then the server, with status 0 and one line said`,
    page: false,
    run: async ({ browser, after }) => {
      const demo = await startDemo();
      after(() => demo.stop());
      const page = await browser.open(`${demo.web}/#idle`);
      after(() => page.close());
      await page.prepare(demo);
      await page.evaluate(async () => {
        const session = await t.connect("/echo");
        await t.echoBidi(session, t.bytesOf("x"));
        globalThis.end = t.ending(session);
      });
      demo.signal(signal);
      const end = await page.evaluate(() => globalThis.end);
      assert.ok(end, "closed did not settle");
      assert.equal(end.error, undefined, `an abrupt end: ${end.message}`);
      assert.deepEqual(await within(60_000, "the server's end", demo.ended), { code: 0, signal: null });
      assert.equal(demo.output().trim().split("\n").length, 1, demo.output());
    },
  })),
];
