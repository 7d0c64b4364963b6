/**
 * What a server that was told to stop waits for, and what it would cost to end it now: for operators. What always holds: it
 * looks and changes nothing; "" where what is left is the server's own work, which needs nobody.
 */
import type { Core } from "./core.ts";
import type { Handover } from "./primary/handover.ts";

export function whatKeepsPrimary(core: Core, handover: Handover): string {
  const { record, open } = core.membership;
  if (record === null) return "";
  const others = record.inSync.filter(({ incarnation }) => incarnation !== core.self).map(({ server }) => server);
  const names = others.join(", ");
  const registry = whatRegistryLacks(core);
  if (others.length === 0)
    return open === null || registry === ""
      ? ""
      : `${registry}, to settle what this server asked for; killed now, it has on its disk all that it acknowledged`;
  if (registry !== "")
    return `${registry}, which names this server and ${names}; killed now, it loses nothing that ${names} has`;
  if (handover.successorsOf(record, "bus").length > 0) return `${names} to take the role over`;
  return `${names} to reach NATS and take the role over; after ${core.limits.stopMs} ms it stops alone, with everything on its disk`;
}

/** `primary`: who must let it go; "" where nobody must. */
export function whatKeepsOther(core: Core, primary: string): string {
  const { open, isNamed, record } = core.membership;
  const registry = whatRegistryLacks(core);
  if (registry !== "" && (open !== null || isNamed || primary !== "")) {
    const others = record?.inSync.filter(({ incarnation }) => incarnation !== core.self).map(({ server }) => server);
    const cost = isNamed
      ? `counts on this server; killed now, only ${others?.join(", ") || "its own disk"} has what was acknowledged last`
      : "may come to name this server; killed now, nothing is lost, for no record counts on it";
    return `${registry}, which ${cost}`;
  }
  return primary === "" ? "" : `${primary} to let this server go; killed now, what was acknowledged is with ${primary}`;
}

/** Why no change of mode can be settled now. */
function whatRegistryLacks({ membership }: Core): string {
  const { frozen, silentWhy, writeFault, isAnswered } = membership;
  const fault = silentWhy || frozen || writeFault;
  if (fault !== "") return `the registry (${fault})`;
  return isAnswered ? "" : "the registry";
}
