/**
 * `npm run browser`: the tests of pages in a real Chromium. Where there is none it says "not run, because …" and ends
 * with 1. What follows is `npm test` on this room alone, told where the Chromium is.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { findChromium } from "./find-chromium.ts";

const found = findChromium(process.env);
if ("why" in found) {
  console.log(`not run, because ${found.why}\n0 passed, 1 failed`);
  process.exitCode = 1;
} else {
  const runner = fileURLToPath(new URL("../run.js", import.meta.url));
  const child = spawn(process.execPath, [runner, "dist/test/browser/*.test.js"], {
    stdio: "inherit",
    env: { ...process.env, TWINLOG_CHROMIUM: found.path },
  });
  // The runner ends its tests, and they what they started.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  child.on("close", (code) => {
    process.exitCode = code ?? 1;
  });
}
