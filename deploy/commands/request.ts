/**
 * `twinlog request` and `twinlog query`: one body to the service, the answer on standard output. Exit status 0 only if
 * the request was executed and the answer is a result (a result may still say "rejected": that is the application's word).
 */

import type { Command } from "commander";
import type { ApplicationDefinition } from "../../actors/application/contract.ts";
import { createClient, type RequestOptions } from "../../actors/client/client.ts";
import { FailedError, RefusedError, UnansweredError, UnknownOutcomeError } from "../../actors/client/errors.ts";
import type { Bus } from "../../actors/world/ports.ts";
import { keyIsOther } from "../../schemas/envelope.ts";
import { inboxes, subjects } from "../../schemas/subjects.ts";
import { type Checked, checkBody, type Sent } from "./announced.ts";
import { broughtAlong, knownApplication } from "./application.ts";
import { type Optional, unlessForbidden } from "./forbidden.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, readBody, whenAborted, wholeNumber } from "./world.ts";

interface RequestFlags extends CommonOptions {
  client: string;
  application?: string;
  id?: string;
  key?: string;
  timeout: number;
  check: boolean;
}

const applicationOfRequest =
  "what the service runs, or the path of its module: the body is checked by it too (without it, by what the service announces; where it announces nothing, by what was started in this folder)";
const unchecked = "send the body as it is: the service alone checks it";

export function requestCommand(world: CommandWorld): Command {
  return serviceCommand(world, "request", "send one request and print its reply", [
    `twinlog request '{"type":"limit","symbol":"BTCUSD","order":"o1","side":"buy","price":7831800,"quantity":100}'`,
    `twinlog request --client alice --id 42 '{"type":"market","symbol":"BTCUSD","order":"o2","side":"sell","quantity":40}'`,
    "twinlog request < order.json",
  ])
    .argument("[body]", "the request's body, JSON; standard input if it is left out or -")
    .option("--client <name>", "the client's name", "cli")
    .option("--application <name>", applicationOfRequest)
    .option("--id <id>", "the request's id: the same id with the same body is the same request")
    .option("--key <key>", "partition key, where it is not the application's own")
    .option("--timeout <ms>", "how long to try", wholeNumber("--timeout", 1), 30_000)
    .option("--no-check", unchecked)
    .action(async (body: string | undefined, flags: RequestFlags) => {
      const parsed = await readBody(world, body);
      await withBus(world, flags, { kind: "request", body: parsed }, async (bus, client) => {
        const { id, key } = flags;
        const options = { ...(id === undefined ? {} : { id }), ...(key === undefined ? {} : { key }) };
        try {
          const answer = await request(client, parsed, options);
          await world.out(`${Buffer.from(answer.bytes).toString()}\n`);
        } catch (error) {
          if (error instanceof FailedError) await world.out(`${Buffer.from(error.bytes).toString()}\n`);
          throw explained(error, bus, flags);
        }
      });
    });
}

export function queryCommand(world: CommandWorld): Command {
  return serviceCommand(world, "query", "read committed state", [
    `twinlog query '{"query":"book","symbol":"BTCUSD","depth":5}'`,
  ])
    .argument("[body]", "the query's body, JSON; standard input if it is left out or -")
    .option("--client <name>", "the client's name", "cli")
    .option("--key <key>", "partition key")
    .option("--timeout <ms>", "how long to try", wholeNumber("--timeout", 1), 10_000)
    .option("--no-check", unchecked)
    .action(async (body: string | undefined, flags: RequestFlags) => {
      const parsed = await readBody(world, body);
      await withBus(world, flags, { kind: "query", body: parsed }, async (bus, client) => {
        try {
          const answer = await client.query(parsed, flags.key === undefined ? {} : { key: flags.key });
          await world.out(`${JSON.stringify(answer.result)}\n`);
        } catch (error) {
          throw explained(error, bus, flags);
        }
      });
    });
}

/** Without `ready`, a client finds out by itself that another server serves, and later. */
export function mayLack({ err }: CommandWorld, service: string): Optional {
  const subject = subjects.signal(service);
  const tell = () => err(`twinlog: NATS forbids to subscribe to ${subject}: after a takeover it takes longer\n`);
  return { subject, tell };
}

type AnyClient = ReturnType<typeof createClient>;

/** Of an application that is not known here the service tells the key: nothing was done, and the same request goes there. */
async function request(client: AnyClient, body: unknown, options: RequestOptions) {
  try {
    return await client.request(body, options);
  } catch (error) {
    if (!(error instanceof RefusedError) || options.key !== undefined) throw error;
    const [before, after] = [`INVALID_REQUEST: ${keyIsOther}`, ` (request ${error.id})`];
    if (!error.message.startsWith(before)) throw error;
    const key = error.message.slice(before.length, -after.length);
    return await client.request(body, { ...options, id: error.id, key });
  }
}

async function withBus(
  world: CommandWorld,
  flags: RequestFlags,
  sent: Pick<Sent, "kind" | "body">,
  run: (bus: Bus, client: AnyClient) => Promise<void>,
): Promise<void> {
  const { clock } = world;
  const { service, client: name, timeout: deadlineMs } = flags;
  const named = flags.application === undefined ? undefined : await knownApplication(world, flags);
  let onState = (_connected: boolean): void => undefined;
  const bus = await world.connect(flags.access, (connected) => onState(connected), inboxes.client(name));
  let client: AnyClient | null = null;
  let forget = (): void => undefined;
  try {
    const checked = flags.check ? await checkBody(bus, clock, { ...sent, ...flags }) : {};
    const application = named ?? (sent.kind === "request" ? await itsApplication(world, flags, checked) : undefined);
    client = createClient({ service, client: name, clock, bus, deadlineMs, ...(application && { application }) });
    const { close, onBusState } = client;
    onState = onBusState;
    forget = whenAborted(world.stopped, close);
    const acting = client;
    await unlessForbidden(bus, () => run(bus, acting), mayLack(world, service));
    if (checked.note !== undefined && application === undefined)
      world.err(`twinlog: the body was checked by the service alone: ${checked.note}\n`);
  } finally {
    forget();
    client?.close();
    await bus.stop();
  }
}

/**
 * By which the client knows the key: without it the service tells it. One that is not the service's would refuse bodies that the service
 * takes, so what was started here counts only where the service says nothing of its own.
 */
async function itsApplication(
  world: CommandWorld,
  flags: RequestFlags,
  { known, note }: Checked,
): Promise<ApplicationDefinition | undefined> {
  if (known !== undefined) return broughtAlong(known.digest);
  return note === undefined ? undefined : await knownApplication(world, flags);
}

/** What happened, and what to do about it. */
export function explained(error: unknown, bus: Bus, flags: CommonOptions): unknown {
  if (error instanceof UnknownOutcomeError)
    return new CommandError(`${error.message}: repeat the command with --id ${error.id}`);
  if (error instanceof UnansweredError) return new CommandError(`${error.message}; ${advice(bus, flags)}`);
  if (error instanceof RefusedError && error.code === "NOT_SENT")
    return new CommandError(`${error.message}; ${advice(bus, flags)}`);
  return error instanceof RefusedError || error instanceof FailedError ? new CommandError(error.message) : error;
}

function advice(bus: Bus, { service, access }: CommonOptions): string {
  return bus.connected()
    ? `no server of ${service} answers at ${access.shown}: see \`twinlog status\``
    : `no connection to NATS at ${access.shown}`;
}
