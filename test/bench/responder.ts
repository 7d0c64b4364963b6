/**
 * The same job by hand: the same exchange, the same parsing and the same replies as a server, with no log and no peer. With a
 * keeper it makes each reply safe before it sends it, all of a turn at once, as a good engineer would; without one it is the bare
 * responder, which is the medium and the application alone.
 *
 *   node responder.js SETTINGS [KEEPER URL]
 */

import { BodyParser } from "../../actors/application/body.ts";
import { parseRequest } from "../../actors/application/front.ts";
import { HandlerRunner } from "../../actors/application/runner.ts";
import { ApplicationState } from "../../actors/application/state.ts";
import { noWatchdog } from "../../actors/world/ports.ts";
import { openRealWorld } from "../../actors/world/real-world.ts";
import { findApplication } from "../../deploy/applications.ts";
import { readSettings } from "../../deploy/settings-file.ts";
import type { Arrival } from "../../machines/replica/primary/intake.ts";
import { headers } from "../../schemas/envelope.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type Keeper, openKeeper } from "./keepers.ts";

interface Owed {
  readonly key: string;
  readonly replyTo: string;
  readonly reply: Buffer;
}

const [config = "", keeperName, keeperUrl = ""] = process.argv.slice(2);
const settings = await readSettings(config);
const application = await findApplication(settings.application, config);
const { bus, clock } = await openRealWorld(settings, { logLevel: "error" });
const keeper: Keeper | null = keeperName === undefined ? null : await openKeeper(keeperName, keeperUrl);
const state = new ApplicationState(application);
const parser = new BodyParser(application);
const guard = { watchdog: noWatchdog, endedByBody: () => false, isKnown: () => false };
let sequence = 0;
let turn: Owed[] = [];

async function keepTurn(by: Keeper): Promise<void> {
  const owed = turn;
  turn = [];
  await by.keep(owed);
  for (const { replyTo, reply } of owed) bus.publish(replyTo, reply);
}

function answer(owed: Owed): void {
  if (keeper === null) {
    bus.publish(owed.replyTo, owed.reply);
    return;
  }
  turn.push(owed);
  if (turn.length > 1) return;
  setImmediate(() => {
    keepTurn(keeper).catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    });
  });
}

const runner = new HandlerRunner<Arrival>({
  application,
  state,
  clock,
  takesTimer: (ordinal) => ordinal === 0,
  limits: {
    ...settings.limits,
    maxTimerBytes: settings.limits.maxRequestBytes,
    maxRecordBytes: () => settings.limits.maxRecordBytes,
  },
  sink: {
    nextSequence: () => sequence + 1,
    transaction: () => undefined,
    final: ({ client, id, key, replyTo }, { outcome }) => {
      sequence += 1;
      const reply = Buffer.from(
        `{"client":${JSON.stringify(client)},"id":${JSON.stringify(id)},${outcome},"sequence":${sequence},"epoch":1}`,
      );
      answer({ key: `${client}/${id}`, replyTo, reply });
      if (!settings.publishResults) return;
      const number = String(sequence);
      bus.publish(subjects.result(settings.service, key, client), reply, {
        [headers.history]: "bare",
        [headers.epoch]: "1",
        [headers.sequence]: number,
        [headers.result]: number,
        [headers.messageId]: `bare-${number}`,
      });
    },
    committed: () => Promise.resolve(),
    failed: () => undefined,
    onWaiting: () => undefined,
    fatal: (error) => {
      throw error;
    },
  },
});

await bus.start(() => undefined);
bus.subscribe(subjects.requests(settings.service), (message) => {
  const parsed = parseRequest(message, parser, settings.limits.maxRequestBytes, guard);
  if (!parsed.ok) {
    bus.publish(message.reply, parsed.refusal);
    return;
  }
  const arrival = parsed.value;
  const request = { ...arrival, stampMs: 0, takenMs: 0, completed: [], resumed: false };
  runner.run(request, arrival);
});
process.send?.("ready");
