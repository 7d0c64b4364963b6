/**
 * What `npm test` runs: every test of `dist/test/`, told as it happens, and at the end a line `N passed, N failed`.
 *
 * AVA runs the tests and tells of them in TAP, from which the counts are taken; a failure is shown in full where it happens and
 * named again at the end. The exit status is 0 only if AVA's is and no test failed and at least one ran.
 * nats-server is found or brought first and named to the tests in TWINLOG_NATS_SERVER, so that they do not each look for it.
 * Arguments go to AVA as they are: `npm test -- dist/test/tidy/*.test.js`, `npm test -- --match='*takeover*'`.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { bringNatsServer, NatsServerMissing } from "../deploy/nats-server.ts";
import { TapReport } from "./helpers/tap-report.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const ava = fileURLToPath(new URL("../../node_modules/ava/entrypoints/cli.mjs", import.meta.url));

const report = new TapReport();
const nats = await bringNatsServer({ dataFolder: join(root, ".twinlog"), tell: console.log }).catch(
  (error: unknown) => {
    if (error instanceof NatsServerMissing) {
      console.log(`${error.message}\n${report.ending(1)}`);
      process.exit(1);
    }
    throw error;
  },
);
console.log(`nats-server ${nats.version} (${nats.path})`);

const runner = spawn(process.execPath, [ava, "--tap", ...process.argv.slice(2)], {
  cwd: root,
  env: { ...process.env, TWINLOG_NATS_SERVER: nats.path },
  stdio: ["ignore", "pipe", "inherit"],
});
// AVA ends its test files, and they their servers, on SIGINT alone.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => runner.kill("SIGINT"));
}
const exited = new Promise<number>((resolve) => runner.on("close", (code) => resolve(code ?? 1)));
for await (const line of createInterface({ input: runner.stdout })) {
  const told = report.read(line);
  if (told !== undefined) {
    console.log(told);
  }
}
const status = await exited;
console.log(report.ending(status));
process.exitCode = status === 0 && report.failed === 0 && report.passed > 0 ? 0 : 1;
