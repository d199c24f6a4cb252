// Starts and stops `transom demo`, and a small site of a foreign origin.
import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const program = process.env.TRANSOM_BIN ?? fileURLToPath(new URL("../../../target/release/transom", import.meta.url));
const START_LIMIT = 60_000;
const STOP_LIMIT = 60_000;

/** Process ids of the servers still running; each leads a process group of its own. */
const running = new Set();

process.on("exit", () => running.forEach((pid) => killGroup(pid)));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(130));

/** The `listening` object of the server, with `stop()`, `signal(name)` and `ended` (a promise of { code, signal }). */
export async function startDemo({ web = "127.0.0.1:0", origins = [] } = {}) {
  const args = ["demo", "--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--web", web, "--json"];
  for (const origin of origins) args.push("--allow-origin", origin);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  let said = "";
  let complaints = "";
  child.stdout.on("data", (bytes) => (said += bytes));
  child.stderr.on("data", (bytes) => (complaints = (complaints + bytes).slice(-4000)));
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      running.delete(child.pid);
      resolve({ code, signal });
    });
  });
  ended.catch(() => {});
  if (child.pid) running.add(child.pid);

  const line = await within(START_LIMIT, `the server's first line`, new Promise((resolve, reject) => {
    child.stdout.on("data", () => said.includes("\n") && resolve(said.slice(0, said.indexOf("\n"))));
    ended.then(
      ({ code }) => reject(new Error(`${program} ended with ${code} at once:\n${complaints}`)),
      (error) => reject(new Error(`${program} cannot be started: ${error.message}`)),
    );
  }));
  return {
    ...JSON.parse(line),
    ended,
    output: () => said,
    complaints: () => complaints,
    signal: (name) => process.kill(child.pid, name),
    async stop() {
      if (running.has(child.pid)) process.kill(child.pid, "SIGTERM");
      try {
        return await within(STOP_LIMIT, "the server's end", ended);
      } finally {
        if (running.has(child.pid)) killGroup(child.pid);
      }
    },
  };
}

/** Asks for many sessions that are refused; a browser holds back pages that fail so often. */
export function refuseOften({ url, certificate_sha256: hash }, times) {
  for (let i = 0; i < times; i++) spawnSync(program, ["connect", `${url}/nothing/here`, "--cert-hash", hash], { input: "" });
}

/** An empty page at an origin the server does not know. */
export async function startForeignSite() {
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>elsewhere</title>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

export async function within(milliseconds, what, promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), milliseconds);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function killGroup(pid) {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has gone already.
  }
}
