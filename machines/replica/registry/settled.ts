/**
 * What a settled registry record means to this server: the lifecycle events that follow from it (rules 1, 3, 7). Pure.
 * What always holds: only a record that this server won as the primary makes it one; the same configuration, written again,
 * changes nothing but what is open; any other deposes it, or loses its compare-and-set, and whether it keeps its memory
 * depends on whether the record names it.
 */
import type { Member, RegistryRecord } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import type { Due } from "../due.ts";
import type { Settlement } from "./membership.ts";

/** `followed`: whom this server follows, if anybody. */
export function meaningOf(
  settlement: Exclude<Settlement, null>,
  record: RegistryRecord,
  followed: Member | null,
  core: Core,
): Due[] {
  const { isNamed, isPrimary } = core.membership;
  if (settlement === "won" && isPrimary) {
    const event = record.inSync.length === 1 ? "cas.won.alone" : "cas.won.normal";
    return [{ event, why: `won epoch ${record.epoch}` }];
  }
  if (settlement === "won") return [{ event: "cas.won.unchanged", why: "nothing that was asked for before can land" }];
  const why = `epoch ${record.epoch}: ${record.primary.server} is the primary`;
  // Nobody else makes it the primary: an operator put back what this server had won, or asked for (restoration.ts).
  if (core.hot && (settlement === "rewritten" || isPrimary)) {
    const event = record.inSync.length === 1 ? "cas.void.alone" : "cas.void.normal";
    return [{ event, why: `epoch ${record.epoch} was written again: what this server asked for is void` }];
  }
  if (core.hot) return [{ event: isNamed ? "deposed.named" : "deposed.unnamed", why }];
  if (core.fenced) return [{ event: isNamed ? "cas.lost.named" : "cas.lost.unnamed", why }];
  if (followed === null) return [];
  const membership: Due = isNamed
    ? { event: "record.named", why: `epoch ${record.epoch}: in sync` }
    : { event: "record.dropped", why: `epoch ${record.epoch}: no longer in sync` };
  const isSame = core.rules.isSameMember(followed, record.primary);
  return isSame ? [membership] : [{ event: "record.primaryChanged", why }, membership];
}
