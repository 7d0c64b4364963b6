/**
 * Room for a small heap to grow before V8 marks all of it again. By itself V8 gives a heap of 40 MB some 10 MB, which promoted garbage
 * of a busy server fills once a second or more often: each time the threads that mark take the cores, and requests wait for 20 to
 * 80 ms (test/bench/FIGURES.md). What always holds: a heap of more than `roomBytes` grows as V8 sees fit; nothing is kept by this.
 */
import { constants, PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";

const roomBytes = 128 * 1024 * 1024;

/** For the process, from now on. V8 reads the flag each time it has marked the heap. */
export function keepHeapRoom(): void {
  const give = () => setFlagsFromString(`--heap-growing-percent=${growingPercent(getHeapStatistics().used_heap_size)}`);
  give();
  new PerformanceObserver((list) => {
    const collections = list.getEntries() as readonly { readonly detail?: { readonly kind: number } }[];
    if (collections.some(({ detail }) => detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR)) give();
  }).observe({ entryTypes: ["gc"] });
}

/** By how much a heap in which so many bytes live may grow; 0: V8 decides. */
export function growingPercent(liveBytes: number): number {
  return liveBytes < roomBytes ? Math.ceil((100 * roomBytes) / liveBytes) : 0;
}
