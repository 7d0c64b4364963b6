/** What all worlds of one exploration share. What always holds: it only remembers; no world changes another one through it. */
import type { Rules } from "../../../machines/replica/rules.ts";
import type { Bounds } from "./bounds.ts";
import { AllChecks } from "./checks.ts";
import { Letters, Mailboxes } from "./mailbox.ts";
import { Registries } from "./registry.ts";
import { ServerStates } from "./server-state.ts";

export class Scope {
  readonly bounds: Bounds;
  readonly letters = new Letters();
  readonly mailboxes = new Mailboxes();
  readonly registries = new Registries();
  readonly checks = new AllChecks();
  readonly states: ServerStates;
  /** Messages that can have no effect any more are forgotten. */
  readonly letsGo: boolean;

  /** `remembers`: what an input makes of a server is worked out once (server-state.ts). */
  constructor(bounds: Bounds, rules: Rules, letsGo: boolean, remembers: boolean) {
    this.bounds = bounds;
    this.letsGo = letsGo;
    this.states = new ServerStates({ bounds, rules, letters: this.letters }, remembers);
  }
}
