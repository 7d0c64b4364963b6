/**
 * The bare responder: the same exchange, the same parsing, the same replies and (if asked) results as a server, with no log,
 * no peer and no disk. What the pair is measured against: the medium and the application alone.
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

const config = process.argv[2] ?? "";
const settings = await readSettings(config);
const application = await findApplication(settings.application, config);
const { bus, clock } = await openRealWorld(settings, { logLevel: "error" });
const state = new ApplicationState(application);
const parser = new BodyParser(application);
const guard = { watchdog: noWatchdog, endedByBody: () => false, isKnown: () => false };
let sequence = 0;

const runner = new HandlerRunner<Arrival>({
  application,
  state,
  clock,
  limits: { ...settings.limits, maxRecordBytes: () => settings.limits.maxRecordBytes },
  sink: {
    transaction: () => undefined,
    final: ({ client, id, key, replyTo }, { outcome }) => {
      sequence += 1;
      const reply = Buffer.from(
        `{"client":${JSON.stringify(client)},"id":${JSON.stringify(id)},${outcome},"sequence":${sequence},"epoch":1}`,
      );
      bus.publish(replyTo, reply);
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
  const request = { ...arrival, stampMs: 0, completed: [], resumed: false };
  runner.run(request, arrival);
});
process.send?.("ready");
