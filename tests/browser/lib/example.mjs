// Starts and stops an example of the core, which `cargo build -p transom-core --examples` has built.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "./demo.mjs";

const target = fileURLToPath(new URL("../../../target", import.meta.url));
const transom = process.env.TRANSOM_BIN ?? join(target, "release/transom");
const START_LIMIT = 20_000;

/** The example's URL, the hash of its certificate, and `stop()`. */
export async function startExample(name) {
  const folder = mkdtempSync(join(tmpdir(), "transom-example-"));
  const made = execFileSync(transom, ["cert", "--json", "--san", "127.0.0.1", "--out", folder], { encoding: "utf8" });
  const program = join(target, "debug/examples", name);
  const args = ["127.0.0.1:0", join(folder, "cert.pem"), join(folder, "key.pem")];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const killed = () => child.kill("SIGKILL");
  process.once("exit", killed);
  const stop = () => {
    process.off("exit", killed);
    killed();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const address = await within(START_LIMIT, `the first line of ${name}`, new Promise((resolve, reject) => {
      child.once("error", (error) => reject(new Error(`${program} cannot be started: ${error.message}`)));
      child.once("exit", (code) => reject(new Error(`${program} ended with ${code} at once`)));
      child.stdout.once("data", (line) => resolve(String(line).trim()));
    }));
    return { url: `https://${address}/`, hash: JSON.parse(made).certificate_sha256, stop };
  } catch (error) {
    stop();
    throw error;
  }
}
