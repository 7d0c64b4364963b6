/**
 * Rule 21, as every server sees it: whether an operator's word stands that failover is paused. What always holds: the record says it
 * and nothing else; an operator who lets failover go on where no primary is left to write that is believed by the server that he told,
 * about the pause that there was and no later one; no acknowledgement depends on any of it, nor on the clocks by which it ends.
 */
import type { Pause, RegistryRecord } from "../../../schemas/registry.ts";
import { SeenPause } from "./seen-pause.ts";

export class FailoverPause {
  readonly seen = new SeenPause("failoverPause");
  /** The pause that an operator ended here, by when it began. */
  private resumed: number | null = null;

  resume({ failoverPause }: RegistryRecord): void {
    this.resumed = failoverPause?.sinceMs ?? null;
  }

  /** Null: failover goes on. */
  standing(record: RegistryRecord | null, wallMs: number, nowMs: number): Pause | null {
    const pause = this.seen.standing(record, wallMs, nowMs);
    return pause === null || pause.sinceMs === this.resumed ? null : pause;
  }
}
