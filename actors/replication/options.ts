/** What the replication agent works with: given once, by the life that composes it. */
import type { Replica } from "../../machines/replica/replica.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import type { Settings } from "../../schemas/settings.ts";
import type { Mailbox } from "../actor.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Durations } from "../operator/durations.ts";
import type { Troubles } from "../operator/troubles.ts";
import type { World } from "../world/ports.ts";

export interface ReplicationOptions {
  readonly settings: Settings;
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly replica: Replica;
  readonly checkpoint: Checkpoint;
  /** The tables and the log on disk are level with the commit point when it resolves. */
  readonly flush: () => Promise<void>;
  readonly troubles: Troubles;
  /** Of mirrors. */
  readonly durations: Durations;
  readonly rules: Pick<Rules, "isSnapshotWanted">;
  /** A snapshot was adopted: this life is over. */
  readonly onAdopted: () => void;
}
