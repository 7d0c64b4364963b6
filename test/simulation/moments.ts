/** Interesting moments of a run, counted: what no seed ever met was not tested, and CI says so. */
export const momentNames = [
  "server killed",
  "machine without power",
  "crash at an I/O boundary",
  "server paused",
  "server started twice",
  "disk failed",
  "disk full",
  "disk damaged",
  "old disk restored",
  "disk lost",
  "main link cut",
  "main link cut one way",
  "main link reset",
  "failsafe faulty",
  "NATS cut from one server",
  "broker crashed",
  "JetStream away",
  "wall clock jumped",
  "registry rolled back",
  "registry deleted",
  "compare-and-set landed late",
  "compare-and-set answer lost",
  "compare-and-set won",
  "both race a compare-and-set",
  "crash between sync and compare-and-set",
  "takeover",
  "alone on disk",
  "joined",
  "new history",
  "three failures in a chain",
  "duplicate answered",
  "request refused",
  "query answered",
  "clean stop of all",
  "snapshot asked for",
  "snapshot interrupted",
  "inherited tail",
  "uncommitted tail dropped",
] as const;

export type Moment = (typeof momentNames)[number];

export class Moments {
  readonly counts = new Map<string, number>();

  count(moment: Moment, times = 1): void {
    if (times > 0) this.counts.set(moment, (this.counts.get(moment) ?? 0) + times);
  }

  add(other: Readonly<Record<string, number>>): void {
    for (const [name, times] of Object.entries(other)) this.counts.set(name, (this.counts.get(name) ?? 0) + times);
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }
}
