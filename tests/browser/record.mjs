// One browser's visit to the recorder: `node record.mjs chromium|firefox URL HASH`. Prints the browser's version first.
import { startForeignSite } from "./lib/demo.mjs";
import { launch } from "./lib/drivers.mjs";
import { visit } from "./lib/visit.mjs";

const [kind, url, hash] = process.argv.slice(2);
const site = await startForeignSite();
const browser = await launch(kind);
try {
  console.log(await browser.version());
  const page = await browser.open(site.origin);
  await page.evaluate(visit, { url: `${url}/capture?client=${kind}`, hash });
} finally {
  await browser.close();
  site.close();
}
process.exit(0);
