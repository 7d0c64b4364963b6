/**
 * The layout of the charts on a thread of its own: it takes a second or two, in which the console would hear no server and
 * take all of them for silent. This file is both ends; elkjs is loaded at the far one alone.
 */
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import type { Chart } from "./layout.ts";

if (!isMainThread && parentPort !== null) {
  const { layoutCharts } = await import("./layout.ts");
  parentPort.postMessage(await layoutCharts(), []);
}

/** Throws what the thread threw. */
export async function layoutInThread(): Promise<Chart[]> {
  const worker = new Worker(new URL(import.meta.url));
  const [charts] = (await once(worker, "message")) as [Chart[]];
  return charts;
}
