// Runs every browser scenario against `transom demo`. Options: --only chromium|firefox, --match TEXT, --keep (leave the
// server running at the end, to look at it by hand). TRANSOM_BIN names the program, otherwise ../../target/release/transom.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// The drivers need Node 20; `tests/setup` puts one here where the system's is older.
if (Number(process.versions.node.split(".")[0]) < 20) {
  const newer = here("../.venv-node/node");
  if (!existsSync(newer)) throw new Error("Node 20 or newer is needed; run tests/setup");
  process.exit(spawnSync(newer, process.argv.slice(1), { stdio: "inherit" }).status ?? 1);
}

const { parseArgs } = await import("node:util");
const { startDemo, startForeignSite } = await import("./lib/demo.mjs");
const { launch } = await import("./lib/drivers.mjs");
const { protocolScenarios } = await import("./scenarios/protocol.mjs");
const { endingScenarios } = await import("./scenarios/endings.mjs");
const { exampleScenarios } = await import("./scenarios/examples.mjs");
const { pageScenarios } = await import("./scenarios/page.mjs");

const { values: options } = parseArgs({
  options: { only: { type: "string" }, match: { type: "string" }, keep: { type: "boolean" } },
});

const SCENARIO_LIMIT = 120_000;
const artefacts = here("../artefacts");
mkdirSync(artefacts, { recursive: true });

const scenarios = [...protocolScenarios, ...endingScenarios, ...exampleScenarios, ...pageScenarios];
let passed = 0;
let failed = 0;

for (const kind of ["chromium", "firefox"]) {
  if (options.only && options.only !== kind) continue;
  const chosen = scenarios.filter(({ name, only }) =>
    (!only || only === kind) && (!options.match || name.includes(options.match)));
  if (chosen.length) await runAll(kind, chosen);
}
if (options.keep) await keepServer();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);

async function runAll(kind, chosen) {
  const shared = {};
  const failedBefore = failed;
  try {
    shared.demo = await startDemo();
    shared.site = await startForeignSite();
    shared.browser = await launch(kind);
    console.log(`# ${kind} ${await shared.browser.version()}`);
    for (const scenario of chosen) await runOne(kind, scenario, shared);
  } catch (error) {
    report(kind, "browser and server start", error);
  } finally {
    await shared.browser?.close();
    shared.site?.close();
    await shared.demo?.stop().then(
      ({ code }) => code !== 0 && report(kind, "server ends with status 0", new Error(`it ended with ${code}`)),
      (error) => report(kind, "server ends with status 0", error),
    );
    const said = shared.demo?.complaints().trim();
    if (failed > failedBefore && said) console.log(`# what the server said last:\n${said.replace(/^/gm, "#   ")}`);
  }
}

/** Each scenario gets a page of its own; what it opens besides is put on `after`, and closed whatever happens. */
async function runOne(kind, { name, run, page: wantsPage = true }, { demo, site, browser }) {
  const after = [];
  let timer;
  try {
    const page = wantsPage ? await browser.open(`${demo.web}/#idle`) : null;
    if (page) after.push(() => page.close());
    if (page) await page.prepare(demo);
    const context = { kind, demo, site, browser, page, artefacts, after: (close) => after.push(close), launch };
    await Promise.race([
      run(context),
      new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error("the scenario did not end")), SCENARIO_LIMIT);
      }),
    ]);
    report(kind, name, null);
  } catch (error) {
    report(kind, name, error);
  } finally {
    clearTimeout(timer);
    for (const close of after.reverse()) await Promise.resolve().then(close).catch(() => {});
  }
}

function report(kind, name, error) {
  if (error) failed++;
  else passed++;
  console.log(`${error ? "not ok" : "ok"} ${passed + failed} - ${kind}: ${name}`);
  if (!error) return;
  const lines = String(error.stack ?? error).split("\n").filter((line) => !/node_modules|chrome:\/\//.test(line));
  for (const line of lines) console.log(`#   ${line}`);
}

async function keepServer() {
  const demo = await startDemo();
  console.log(`# server kept at ${demo.web} (${demo.url}); interrupt to end`);
  await new Promise((resolve) => process.once("SIGINT", resolve));
  await demo.stop();
}
