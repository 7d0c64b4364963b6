/** The bare responder: nothing is kept. What the others are measured against. */
import type { Contestant } from "./contestant.ts";
import { startResponder } from "./programs.ts";

export const bare: Contestant = {
  name: "bare",
  means: "nothing is stored: the medium and the application alone",
  missing: () => Promise.resolve(null),
  async start(arena) {
    const responder = await startResponder(arena, "bare");
    return { service: "bare", processes: { responder: responder.child.pid ?? 0 }, stop: () => responder.stop() };
  },
};
