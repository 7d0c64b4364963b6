/**
 * `twinlog inspect --verify`: the store that counts and every one that was set aside beside it, each proved whole, a line each.
 * What always holds: one that is not sound keeps no other from being proved, and ends the command with 1.
 */
import { StoreError } from "../../actors/world/ports.ts";
import { LayoutError } from "../../machines/checkpoint/layout.ts";
import { RecoveryError } from "../../machines/checkpoint/scan.ts";
import { asideIn, inspect } from "../inspect.ts";
import { type CommandWorld, ExitStatus } from "./world.ts";

interface Check {
  readonly store: string;
  readonly sound: boolean;
  readonly message: string;
}

export async function verifyStores(
  world: CommandWorld,
  directory: string,
  { copy, json }: { copy?: string; json: boolean },
): Promise<void> {
  const checks = [await check(world, directory, copy)];
  if (copy === undefined)
    for (const { name } of await asideIn(directory)) checks.push(await check(world, directory, name));
  const sound = checks.every((each) => each.sound);
  await world.out(json ? `${JSON.stringify({ sound, checks })}\n` : checks.map(lineOf).join(""));
  if (!sound) throw new ExitStatus(1);
}

async function check(world: CommandWorld, directory: string, copy: string | undefined): Promise<Check> {
  const store = copy ?? "store";
  try {
    const { meta, end } = await inspect(directory, world.clock, {}, copy);
    const whose = `${meta.server} of ${meta.service}, history ${meta.history === "" ? "none" : meta.history}`;
    return { store, sound: true, message: `${whose}, through record ${end.sequence}` };
  } catch (error) {
    // Whatever else keeps it from being read says nothing of it.
    if (!(error instanceof RecoveryError || error instanceof StoreError || error instanceof LayoutError)) throw error;
    return { store, sound: false, message: error.message };
  }
}

function lineOf({ store, sound, message }: Check): string {
  return `${(sound ? "sound" : "NOT SOUND").padEnd(14)}${store}: ${message}\n`;
}
