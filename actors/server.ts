/**
 * A server: one process of a service, life after life (claims 2, 15). It starts the world's connections once, and begins a
 * new life, under a new incarnation, whenever the replica says so (rule 7, after a snapshot). What always holds: one life
 * at a time; the server ends on purpose, or with the error that ended its life.
 */
import { Life, type LifeEnd, type LifeOptions } from "./life.ts";
import { Troubles } from "./operator/troubles.ts";
import type { Link } from "./world/ports.ts";

export type ServerOptions = Omit<LifeOptions, "troubles">;
export type ServerEnd = Exclude<LifeEnd, { reason: "restart" }>;

export interface ServerHandle {
  /** Asks for a clean stop; `ended` tells when. */
  stop(): void;
  readonly ended: Promise<ServerEnd>;
  /** The present life; null before the first and after the last. */
  readonly life: Life | null;
}

export function startServer(options: ServerOptions): ServerHandle {
  const { world } = options;
  const troubles = new Troubles(world.clock, world.log);
  let life: Life | null = null;
  let isStopping = false;

  const listen = (link: Link) =>
    link.start({
      onUp: (peer) => life?.onUp(link.kind, peer),
      onDown: (peer, reason) => life?.onDown(link.kind, peer, reason),
      onFrame: (peer, frame) => life?.onFrame(link.kind, peer, frame),
    });

  const run = async (): Promise<ServerEnd> => {
    const faults = world.bus.onFault((fault) => life?.onFault(fault));
    try {
      await world.bus.start((connected) => life?.onBus(connected));
      await listen(world.failsafe);
      await listen(world.main);
      for (;;) {
        if (isStopping) return { reason: "exit" };
        life = new Life({ ...options, troubles });
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
      return life;
    },
    stop: () => {
      isStopping = true;
      life?.stop();
    },
  };
}
