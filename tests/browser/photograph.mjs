// Takes the pictures of the demo page in docs/screenshots: `node tests/browser/photograph.mjs [FOLDER]`.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { refuseOften, startDemo } from "./lib/demo.mjs";
import { launch } from "./lib/drivers.mjs";

const folder = process.argv[2] ?? fileURLToPath(new URL("../../docs/screenshots", import.meta.url));
mkdirSync(folder, { recursive: true });
const demo = await startDemo();
const browser = await launch("chromium");
try {
  for (const [size, viewport] of [["wide", { width: 1280, height: 900 }], ["narrow", { width: 390, height: 844 }]]) {
    for (const dark of [false, true]) {
      const page = await browser.open(`${demo.web}/`, { ...viewport, dark });
      await page.until("it is connected", () => document.getElementById("state-pill").dataset.state === "connected");
      await page.click("#echo-send");
      // So that a rule has something to say in the dark pictures.
      if (dark) refuseOften(demo, 30);
      await page.until("the figures are read", () => Number(document.getElementById("stats-list").dataset.reads ?? 0) >= 7);
      await page.screenshot(join(folder, `demo-${size}-${dark ? "dark" : "light"}.png`));
      await page.close();
    }
  }
} finally {
  await browser.close();
  await demo.stop();
}
process.exit(0);
