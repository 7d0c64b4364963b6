/** What a life of a server is given, and how it ends. */
import type { Rules } from "../machines/replica/rules.ts";
import type { LastWords } from "../schemas/death.ts";
import type { Settings } from "../schemas/settings.ts";
import type { ServerEvent } from "../schemas/status.ts";
import type { Application } from "./application/define.ts";
import type { Observer } from "./observer.ts";
import type { Meters } from "./operator/meters.ts";
import type { OwnProcess } from "./operator/operator-actor.ts";
import type { Troubles } from "./operator/troubles.ts";
import type { World } from "./world/ports.ts";

export interface LifeOptions {
  readonly settings: Settings;
  readonly application: Application;
  readonly world: World;
  readonly process: OwnProcess;
  /** The server's, from one life to the next. */
  readonly troubles: Troubles;
  /** The last transitions of the server, from one life to the next, the newest last; without it each life remembers its own. */
  readonly recentEvents?: ServerEvent[];
  /** The server's, from one life to the next; without them each life measures for itself. */
  readonly meters?: Meters;
  /** Only for those who break a rule on purpose. */
  readonly rules?: Rules;
  readonly observer?: Observer;
  /** What ended servers of this service, as far as this process was told: also what it is told while the disk is read. */
  readonly lastWords?: ReadonlyMap<string, LastWords>;
  /** Names each life; a random id if it is not given. */
  readonly nameIncarnation?: () => string;
}

export type LifeEnd = { reason: "restart" } | { reason: "exit" } | { reason: "failed"; error: Error };
