/**
 * Faults that come to one dangerous moment on purpose, each for a rule that random faults seldom need (mutations/mutations.ts). No
 * seed draws them by itself. Some judge as well: where a broken rule harms nobody's data, they say what must be seen
 * instead, which holds only because nothing else goes wrong beside them.
 */
import type { FaultKind } from "./context.ts";
import { misfitScenes } from "./misfits.ts";
import { clientScenes } from "./staged-clients.ts";
import { linkScenes } from "./staged-links.ts";
import { lossScenes } from "./staged-losses.ts";
import { maintenanceScenes } from "./staged-maintenance.ts";
import { recoveryScenes } from "./staged-recovery.ts";
import { timeScenes } from "./staged-time.ts";

export const stagedFaults: readonly FaultKind[] = [
  ...linkScenes,
  ...lossScenes,
  ...recoveryScenes,
  ...misfitScenes,
  ...clientScenes,
  ...maintenanceScenes,
  ...timeScenes,
];
