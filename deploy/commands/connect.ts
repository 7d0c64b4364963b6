/**
 * A command's connection to NATS. What always holds: it is up, or one line says why not, with what to do and without a secret; it leaves
 * this machine unencrypted only where that is allowed.
 */
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { whoLogsIn } from "../../actors/world/log-in-nats.ts";
import type { Bus, Log } from "../../actors/world/ports.ts";
import { refusePlaintextBrokers } from "../../actors/world/tcp-security.ts";
import { whyNoInboxes } from "../../schemas/subjects.ts";
import type { Access } from "./access.ts";
import { CommandError, type CommandWorld, NotAllowed } from "./world.ts";

/** How long a broker that is silent is dialled. */
const patienceMs = 5_000;
const lookAgainMs = 20;

interface Connecting extends Pick<CommandWorld, "clock" | "err"> {
  onState(connected: boolean): void;
}

/** Throws CommandError, which says why not, and LinkError PLAINTEXT_REFUSED. */
export async function connectTo(
  { nats, shown, allowPlaintext }: Access,
  inboxPrefix: string,
  { onState, clock, err }: Connecting,
): Promise<Bus> {
  if (!allowPlaintext) refusePlaintextBrokers(nats, "give --tlsca, or --allow-plaintext");
  const why = whyNoInboxes(inboxPrefix);
  if (why !== "") throw new CommandError(`the inbox prefix ${JSON.stringify(inboxPrefix)} is none: ${why}`);
  const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const line = new NatsLine({ nats, name: "twinlog command", inboxPrefix, clock, log });
  const bus = new NatsBus(line);
  const told = new Set<string>();
  bus.onFault(({ kind, subject, reason }) => {
    // What is forbidden whoever asked for it says (forbidden.ts).
    if (kind === "lost" || kind === "publish" || kind === "subscribe") return;
    const what = subject === "" ? reason : `NATS does not take it (${kind} on ${subject}): ${reason}`;
    if (!told.has(`${kind} ${subject}`)) err(`twinlog: ${what}\n`);
    told.add(`${kind} ${subject}`);
  });
  await bus.start(onState);
  // On a loaded machine a broker may be slow to answer, and cut off whoever is slow to log in.
  const untilMs = clock.nowMs() + patienceMs;
  while (!bus.connected() && /^$|timeout|EPIPE|ECONNRESET/i.test(line.lastReason) && clock.nowMs() < untilMs)
    await new Promise<void>((resolve) => clock.after(lookAgainMs, resolve));
  if (bus.connected()) return bus;
  await bus.stop();
  throw notConnected(shown, nats, line.lastReason);
}

/** Of what is logged in with, it shows names alone. */
function notConnected(shown: string, nats: Access["nats"], reason: string): CommandError {
  if (reason.includes("cannot log in: ")) return new NotAllowed(reason.slice(reason.indexOf("cannot log in: ")));
  if (!/auth/i.test(reason))
    return new CommandError(
      `cannot reach NATS at ${shown} (${reason}): \`npm start\` starts one here, --nats or TWINLOG_NATS names another`,
    );
  const who = whoLogsIn(nats);
  if (who === "")
    return new NotAllowed(
      `the broker at ${shown} wants a log-in: give --context, --creds or another, or, for a service of \`npm start\`, come to its folder (deploy/OPERATING.md#how-commands-log-in)`,
    );
  return new NotAllowed(
    `the broker at ${shown} refused the log-in ${who} (${reason.slice(reason.lastIndexOf(": ") + 2)})`,
  );
}

function nothing(): void {}
