// The core without the framework: its examples, used by browsers.
import assert from "node:assert/strict";
import { startExample } from "../lib/example.mjs";

export const exampleScenarios = [
  {
    name: "a loop of sixty lines over the core echoes",
    run: async ({ page, after }) => {
      const example = await startExample("custom_loop");
      after(example.stop);
      const lengths = await page.evaluate(async ({ url, hash }) => {
        const value = Uint8Array.from(hash.match(/../g), (pair) => parseInt(pair, 16));
        const session = new WebTransport(url, { serverCertificateHashes: [{ algorithm: "sha-256", value }] });
        await session.ready;
        const lengths = [];
        for (const length of [0, 5, 2_000_000]) {
          const back = await t.echoBidi(session, new Uint8Array(length).fill(length % 251));
          lengths.push(back.every((byte) => byte === length % 251) ? back.length : "other bytes");
        }
        session.close();
        return lengths;
      }, { url: example.url, hash: example.hash });
      assert.deepEqual(lengths, [0, 5, 2_000_000]);
    },
  },
];
