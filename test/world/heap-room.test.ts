/** Room for the heap (heap-room.ts). */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { growingPercent } from "../../actors/world/heap-room.ts";

const MiB = 1024 * 1024;

test("a small heap has room for 128 MiB, and of a large one V8 decides", (t) => {
  t.is(growingPercent(128 * MiB), 0);
  t.is(growingPercent(64 * MiB), 200);
  t.is(growingPercent(1024 * MiB), 0);
});

test("room for objects is none for buffers: what is garbage of them goes as before", async (t) => {
  const module = JSON.stringify(new URL("../../actors/world/heap-room.js", import.meta.url).href);
  // Of 300 MB that live all but a few are buffers; each turn one is replaced.
  const script = `
    import { keepHeapRoom } from ${module};
    keepHeapRoom();
    const make = () => Buffer.allocUnsafeSlow(1 << 20);
    const live = Array.from({ length: 300 }, make);
    let most = 0;
    for (let turn = 0; turn < 3_000; turn += 1) {
      live[turn % live.length] = make();
      if (turn % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
    console.log(most / (1 << 20));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  t.true(Number(stdout) < 300 + 128 + 128, `${stdout} MiB`);
});

test("V8 marks a small heap less often when it has room", async (t) => {
  const module = JSON.stringify(new URL("../../actors/world/heap-room.js", import.meta.url).href);
  const script = `
    import { constants, PerformanceObserver } from "node:perf_hooks";
    import { keepHeapRoom } from ${module};
    if (process.argv[1] === "room") keepHeapRoom();
    let majors = 0;
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) majors += 1;
    }).observe({ entryTypes: ["gc"] });
    // Rows that come and go: each lives long enough to be moved to the old space.
    const rows = new Map();
    for (let turn = 0; turn < 600; turn += 1) {
      for (let at = 0; at < 5_000; at += 1) {
        const number = turn * 5_000 + at;
        rows.set(number, { number, text: "row " + number });
        rows.delete(number - 60_000);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    console.log(majors);
  `;
  const count = async (how: string): Promise<number> => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, how]);
    return Number(stdout);
  };
  const [without, withRoom] = [await count("none"), await count("room")];
  t.true(2 * withRoom <= without, `${without} without, ${withRoom} with room`);
});
