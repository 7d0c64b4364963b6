/**
 * What the servers of a service say, made into one statement: who speaks, who is silent, whether anybody serves and whether a
 * failover would work.
 *
 * What always holds:
 * 1. Of one incarnation the newest word counts. One that has fallen silent, or that has not spoken since another took over,
 *    is listed as silent and is not believed any more.
 * 2. `failoverReady` needs a hot primary, in mode normal, and a warm backup that its record counts on, both of the newest
 *    epoch, neither with an open trouble that costs the failover (schemas/troubles.ts). Whatever is doubted is not ready.
 */
import type { ServerStatus, ServiceStatus } from "../../schemas/status.ts";
import { costOf, type TroubleCode } from "../../schemas/troubles.ts";

type Reason = ServiceStatus["reasons"][number];

/** One incarnation, as it was heard. */
interface Heard {
  readonly firstMs: number;
  lastMs: number;
  status: ServerStatus;
}

/** A server that missed so many of its own beats is silent. */
const missedBeats = 2.4;
/** One of an older epoch that was not heard since the newer one, and missed one beat, is not there any more. */
const missedBeatsOfOld = 1.2;

/** So many incarnations are remembered: whoever watches for months, or is told made-up names, holds no more. */
const maxHeard = 64;

/** Whom another server has heard so lately lives. */
const isJustHeard = (silentMs: number): boolean => silentMs < 1_000;

/** A server that says this says nothing more. */
const lastStates: ReadonlySet<string> = new Set(["stopped", "failed"]);

/** Collects what is heard of one service. */
export class StatusGathering {
  readonly #heard = new Map<string, Heard>();
  #epoch = -1;
  /** When the first word of the newest epoch came. */
  #epochMs = 0;

  onStatus(status: ServerStatus, nowMs: number): void {
    if (status.epoch > this.#epoch) {
      this.#epoch = status.epoch;
      this.#epochMs = nowMs;
    }
    const { name, incarnation } = status;
    const heard = this.#heard.get(`${name} ${incarnation}`);
    if (heard === undefined) this.#heard.set(`${name} ${incarnation}`, { firstMs: nowMs, lastMs: nowMs, status });
    else Object.assign(heard, { lastMs: nowMs, status });
    if (this.#heard.size > maxHeard) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const [oldest] = [...this.#heard].sort(([, one], [, other]) => one.lastMs - other.lastMs);
    if (oldest !== undefined) this.#heard.delete(oldest[0]);
  }

  /** Nobody was heard. */
  get isEmpty(): boolean {
    return this.#heard.size === 0;
  }

  /**
   * A server that says nothing here, or nothing more, and that one that does speak has just heard: its status is late (a busy
   * machine, a long `statusMs`), or it may not publish it.
   */
  isAwaiting(nowMs: number): boolean {
    const heard = [...this.#heard.values()];
    const isTold = (one: Heard) => lastStates.has(one.status.state) || !this.#isSilent(one, nowMs);
    const names = new Set(heard.filter(isTold).map(({ status }) => status.name));
    return heard.some(({ lastMs, status }) =>
      status.peers.some(
        ({ name, silentMs }) => !names.has(name) && silentMs !== null && isJustHeard(silentMs + nowMs - lastMs),
      ),
    );
  }

  /** The statement about all that was heard until now. */
  conclude(service: string, nowMs: number): ServiceStatus {
    const all = [...this.#heard.values()].filter((heard) => !this.#isReplaced(heard));
    const isSilent = (heard: Heard) => this.#isSilent(heard, nowMs);
    const servers = all
      .filter((heard) => !isSilent(heard))
      .map(({ status }) => status)
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    const leading = servers.reduce<ServerStatus | undefined>(
      (best, server) => (best === undefined || server.epoch > best.epoch ? server : best),
      undefined,
    );
    const { epoch = 0, history = "", mode = null } = leading ?? {};
    const silent = silentOf(
      all.filter((heard) => !isSilent(heard)),
      all.filter(isSilent),
      nowMs,
    );
    const names = new Set([...this.#heard.values()].map(({ status }) => status.name));
    const unheard = (name: string) => !names.has(name);
    return { service, mode, epoch, history, ...judge(servers, silent, epoch, unheard), servers, silent };
  }

  /** Another incarnation of its name was first heard after its last word. One that goes on speaking beside it is no successor. */
  #isReplaced({ lastMs, status }: Heard): boolean {
    return [...this.#heard.values()].some(
      (other) =>
        other.status.name === status.name &&
        other.status.incarnation !== status.incarnation &&
        other.firstMs >= lastMs &&
        other.lastMs > lastMs,
    );
  }

  #isSilent({ lastMs, status }: Heard, nowMs: number): boolean {
    if (lastStates.has(status.state)) return true;
    const isOld = status.epoch < this.#epoch && lastMs <= this.#epochMs;
    return nowMs - lastMs > (isOld ? missedBeatsOfOld : missedBeats) * status.statusMs;
  }
}

/** Configured, or heard before, and not speaking: for how long, as far as anybody knows. */
function silentOf(speaking: readonly Heard[], gone: readonly Heard[], nowMs: number): ServiceStatus["silent"] {
  const found = new Map<string, number | null>();
  for (const { status, lastMs } of speaking)
    for (const { name, silentMs: then } of status.peers) {
      const known = found.get(name) ?? null;
      const silentMs = then === null ? null : Math.round(then + nowMs - lastMs);
      found.set(name, silentMs === null ? known : Math.min(silentMs, known ?? silentMs));
    }
  for (const { status, lastMs } of gone)
    if (!found.has(status.name)) found.set(status.name, Math.round(nowMs - lastMs));
  for (const { status } of speaking) found.delete(status.name);
  return [...found]
    .map(([name, silentMs]) => ({ name, silentMs }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

function judge(
  servers: readonly ServerStatus[],
  silent: ServiceStatus["silent"],
  epoch: number,
  unheard: (name: string) => boolean,
): Pick<ServiceStatus, "serving" | "failoverReady" | "reasons"> {
  const primary = primaryOf(servers, epoch);
  const found = [...doubled(servers), ...servers.flatMap(troublesOf), ...silent.map((one) => silence(one, unheard))];
  if (primary === undefined && servers.length > 0)
    found.unshift(reason("", "primary.missing", "no primary speaks: requests are not processed"));
  const isOpen = (server: ServerStatus) =>
    found.some(
      (each) => each.server === server.name && costOf(each.code) !== "nothing" && each.code !== "intake.paused",
    );
  const backup = servers.find((server) => isBackupOf(primary, server) && !isOpen(server));
  const failoverReady = primary !== undefined && primary.mode === "normal" && !isOpen(primary) && backup !== undefined;
  const isOutage = ({ server, code }: Reason) =>
    costOf(code) === "service" && (server === "" || server === primary?.name);
  const outages = found.filter(isOutage);
  const losses = failoverReady ? [] : found.filter((each) => !isOutage(each) && costOf(each.code) !== "nothing");
  // Where nobody serves because of it, it is what to begin with.
  const isCause = ({ code }: Reason) => primary === undefined && code === "registry.frozen";
  const reasons = [...losses.filter(isCause), ...outages, ...losses.filter((each) => !isCause(each))];
  if (primary !== undefined && !failoverReady && losses.length === 0)
    reasons.push(reason(primary.name, "backup.lost", "no backup of its epoch speaks that is warm and in sync"));
  return { serving: primary !== undefined && outages.length === 0, failoverReady, reasons };
}

/** Those that could take over, as far as their place goes. */
export function backupsOf(servers: readonly ServerStatus[], epoch: number): ServerStatus[] {
  const primary = primaryOf(servers, epoch);
  return servers.filter((server) => isBackupOf(primary, server));
}

/** The one that processes requests, if it speaks. */
export function primaryOf(servers: readonly ServerStatus[], epoch: number): ServerStatus | undefined {
  const ofEpoch = servers.filter((server) => server.role === "primary" && server.epoch === epoch);
  return ofEpoch.find(({ application }) => application === "hot") ?? undefined;
}

function isBackupOf(
  primary: ServerStatus | undefined,
  { role, epoch, application, incarnation }: ServerStatus,
): boolean {
  if (primary === undefined || role !== "backup" || epoch !== primary.epoch || application !== "warm") return false;
  return primary.record === null || primary.record.inSync.some((member) => member.incarnation === incarnation);
}

function troublesOf({ name, troubles }: ServerStatus): Reason[] {
  return troubles.map(({ code, message }) => ({ server: name, code, message }));
}

function silence({ name, silentMs }: ServiceStatus["silent"][number], unheard: (name: string) => boolean): Reason {
  const says = (text: string) => reason(name, "server.silent", text);
  if (silentMs === null) return says("does not speak, and none that does has heard of it");
  if (unheard(name) && isJustHeard(silentMs)) return says("its status does not come, though other servers hear it");
  return says(`silent for ${duration(silentMs)}`);
}

function doubled(servers: readonly ServerStatus[]): Reason[] {
  const names = servers.map(({ name }) => name);
  const twice = [...new Set(names.filter((name, at) => names.indexOf(name) !== at))];
  return twice.map((name) => {
    const all = servers
      .filter((server) => server.name === name)
      .map(({ incarnation, pid }) => `${incarnation} (process ${pid})`);
    return reason(name, "server.doubled", `two servers speak under this name: ${all.join(", ")}; stop the wrong one`);
  });
}

function reason(server: string, code: TroubleCode, message: string): Reason {
  return { server, code, message };
}

/** The two greatest units would be too much: one, roughly. */
export function duration(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
  ] as const;
  for (const [unit, length] of units) if (ms >= 2 * length) return `${Math.floor(ms / length)} ${unit}`;
  return ms >= 9_950 ? `${Math.round(ms / 1_000)} s` : `${(ms / 1_000).toFixed(1)} s`;
}
