/** Ports that stay free for whoever found them. */
import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { promisify } from "node:util";
import test from "ava";
import { freePort } from "../../deploy/ports.ts";

const run = promisify(execFile);

test("a port that is found can be listened on, and is none that the system gives to whoever connects", async (t) => {
  const port = await freePort();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  server.close();
  t.true(port >= 16_000 && port < 32_768, `${port}`);
});

test("what is wanted is given where it is free, and another one where it is taken", async (t) => {
  const wanted = await freePort();
  t.is(await freePort(wanted), wanted);
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(wanted, "127.0.0.1", resolve));
  t.not(await freePort(wanted), wanted);
  holder.close();
});

test("what one process has found no other one finds", async (t) => {
  // Of 16,000 ports 400 each: that no two are alike by chance happens once in 20,000 runs.
  const count = 400;
  const script = `
    import { freePort } from ${JSON.stringify(new URL("../../deploy/ports.js", import.meta.url).href)};
    for (let index = 0; index < ${count}; index += 1) console.log(await freePort());
  `;
  const ours = new Set<number>();
  while (ours.size < count) ours.add(await freePort());
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
  const theirs = stdout.trim().split("\n").map(Number);
  t.is(new Set(theirs).size, count);
  t.deepEqual(
    theirs.filter((port) => ours.has(port)),
    [],
  );
});
