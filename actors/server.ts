/**
 * A server: one process of a service, life after life (claims 2, 15). It starts the world's connections once, and begins a
 * new life, under a new incarnation, whenever the replica says so (rule 7, after a snapshot). What always holds: one life
 * at a time; the server ends on purpose, or with the error that ended its life.
 */
import { describeLastWords, type LastWords } from "../schemas/death.ts";
import type { ServerEvent } from "../schemas/status.ts";
import { subjects } from "../schemas/subjects.ts";
import { messageOf } from "./application/errors.ts";
import { BoundedLines, stackOf } from "./bounded-lines.ts";
import { Life } from "./life.ts";
import type { LifeEnd, LifeOptions } from "./life-options.ts";
import { Troubles } from "./operator/troubles.ts";
import type { RunningLife } from "./running-life.ts";
import type { Link } from "./world/ports.ts";

export type ServerOptions = Omit<LifeOptions, "troubles" | "recentEvents">;
export type ServerEnd = Exclude<LifeEnd, { reason: "restart" }>;

export interface ServerHandle {
  /** Asks for a clean stop; `ended` tells when. */
  stop(): void;
  readonly ended: Promise<ServerEnd>;
  /** A promise of the application's was rejected, and nobody waits for it: counted, logged, shown, survived. */
  onFloatingRejection(error: unknown): void;
  /** The present life; null while its disk is being read, before the first and after the last. */
  readonly life: RunningLife | null;
}

const maxLastWords = 64;

export function startServer(options: ServerOptions): ServerHandle {
  const { world } = options;
  const recentEvents: ServerEvent[] = [];
  const troubles = new Troubles(world.clock, world.log);
  /** What ended servers, by the life that it ended. */
  const lastWords = new Map<string, LastWords>();
  /** By server. Whoever may publish where notices of a death go can send any number of them. */
  const deathLines = new Map<string, BoundedLines>();
  let life: Life | null = null;
  let isStopping = false;
  let rejections = 0;
  const rejectionLines = new BoundedLines(world.clock);

  const onLastWords = (words: LastWords) => {
    if (lastWords.has(words.life)) return;
    lastWords.set(words.life, words);
    const [oldest] = lastWords.keys();
    if (lastWords.size > maxLastWords && oldest !== undefined) lastWords.delete(oldest);
    const lines = deathLines.get(words.server) ?? new BoundedLines(world.clock, 1);
    deathLines.set(words.server, lines);
    const more = lines.next();
    if (more !== null)
      world.log.warn(
        { lastWords: words, ...more },
        `server ${words.server} was ended by its watchdog: ${describeLastWords(words)}`,
      );
    life?.running?.onLastWords(words);
  };
  /** The process before this one was ended by its watchdog: whoever was there to hear it may be gone by now. */
  const passOn = () => {
    const words = world.watchdog?.lastWords ?? null;
    if (words === null) return;
    onLastWords(words);
    const { service, server, servers } = options.settings;
    const notice = { server, life: words.life, lastWords: words };
    const plain = () => Buffer.from(JSON.stringify(notice));
    for (const { name } of servers)
      if (name !== server)
        world.bus.publish(subjects.deaths(service, name), world.noticeFor?.(notice, name) ?? plain());
  };

  const listen = (link: Link) =>
    link.start({
      onUp: (peer) => life?.running?.onUp(link.kind, peer),
      onDown: (peer, reason) => life?.running?.onDown(link.kind, peer, reason),
      onFrame: (peer, frame) => life?.running?.onFrame(link.kind, peer, frame),
      onUnproven: (peer, why) => life?.running?.onUnproven(link.kind, peer, why),
      onLastWords,
    });

  const run = async (): Promise<ServerEnd> => {
    const faults = world.bus.onFault((fault) => life?.running?.onFault(fault));
    try {
      await world.bus.start((connected) => life?.running?.onBus(connected));
      await listen(world.failsafe);
      await listen(world.main);
      passOn();
      for (;;) {
        if (isStopping) return { reason: "exit" };
        life = new Life({ ...options, troubles, recentEvents, lastWords });
        const end = await life.begin();
        life = null;
        if (end.reason !== "restart") return end;
        world.log.info({}, "this life is over; a new one begins");
      }
    } catch (error) {
      return { reason: "failed", error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      faults.stop();
      await Promise.allSettled([world.main.stop(), world.failsafe.stop(), world.store.release()]);
      await world.bus.stop();
    }
  };

  const ended = run();
  return {
    ended,
    get life() {
      return life?.running ?? null;
    },
    stop: () => {
      isStopping = true;
      life?.stop();
    },
    onFloatingRejection: (error) => {
      rejections += 1;
      const said = `${rejections} of the application's promises were rejected and nobody waited for them; the last: ${messageOf(error)}`;
      const more = rejectionLines.next();
      if (more !== null) world.log.error({ stack: stackOf(error), ...more }, said);
      troubles.set("application.rejection", said);
    },
  };
}
