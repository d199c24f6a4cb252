// Deno's visit to the recorder: `deno run --unstable-net -A record-deno.mjs URL HASH`; `npm install deno` has the program.
import { visit } from "./lib/visit.mjs";

const [url, hash] = Deno.args;
await visit({ url: `${url}/capture?client=deno`, hash });
Deno.exit(0);
