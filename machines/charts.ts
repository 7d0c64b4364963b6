/**
 * Every machine by the name that operators use for it, with the sentence that says what it decides.
 */
import type { AnyStateMachine } from "xstate";
import { applicationMachine } from "./application.ts";
import { checkpointMachine } from "./checkpoint/checkpoint-machine.ts";
import { lifecycleMachine } from "./lifecycle.ts";
import { linkMachine } from "./link.ts";
import { mirrorMachine } from "./mirror.ts";

export interface NamedMachine {
  readonly machine: AnyStateMachine;
  readonly decides: string;
}

export const machines: Readonly<Record<string, NamedMachine>> = {
  lifecycle: { machine: lifecycleMachine, decides: "which role a server plays, and how it moves between roles" },
  application: {
    machine: applicationMachine,
    decides: "whether the application processes requests or follows the log",
  },
  mirror: { machine: mirrorMachine, decides: "how the primary sends its log to one follower" },
  link: { machine: linkMachine, decides: "which link to a peer is used, and when the peer counts as lost" },
  checkpoint: { machine: checkpointMachine, decides: "what the checkpoint agent may do with the store" },
};
