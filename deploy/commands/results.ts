/**
 * `twinlog results`: the service's results as lines of JSON, dense and in order from a result number on, across
 * failovers. A new history is a line of its own. Exit status 0 only if nothing was missed.
 */

import type { Command } from "commander";
import { type HistoryEvent, NobodyAnswersError, type ResultEvent } from "../../actors/client/result-events.ts";
import { type ResultsReader, readResults } from "../../actors/client/results.ts";
import { unlessForbidden } from "./forbidden.ts";
import { mayLack } from "./request.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, whenAborted, wholeNumber } from "./world.ts";

interface ResultsFlags extends CommonOptions {
  from: number;
  history?: string;
  key?: string;
  client?: string;
  follow: boolean;
}

export function resultsCommand(world: CommandWorld): Command {
  return serviceCommand(world, "results", "print results, none missing and none twice", [
    "twinlog results --from 1",
    "twinlog results --from 1000 --follow --client alice",
  ])
    .option("--from <number>", "the first result number wanted", wholeNumber("--from", 1), 1)
    .option("--history <id>", "the history that --from counts in; the current one if it is left out")
    .option("--key <key>", "only results of this partition key")
    .option("--client <name>", "only results of this client's requests")
    .option("--follow", "go on with what is to come, until Ctrl-C", false)
    .action(async (flags: ResultsFlags) => {
      const { clock } = world;
      let reader: ResultsReader | null = null;
      const bus = await world.connect(flags.access, (connected) => reader?.onBusState(connected));
      const { service, from, follow, history, key, client } = flags;
      const reading = readResults({
        service,
        clock,
        bus,
        from,
        follow,
        ...(history === undefined ? {} : { history }),
        filter: { ...(key === undefined ? {} : { key }), ...(client === undefined ? {} : { client }) },
      });
      reader = reading;
      const forget = whenAborted(world.stopped, () => reader.close());
      const stopTelling = tellSilence(world, reader, flags);
      try {
        await unlessForbidden(bus, () => tellAll(world, reading), mayLack(world, service));
        if (world.stopped.aborted && !follow) throw new CommandError("stopped before the last result");
      } catch (error) {
        throw error instanceof NobodyAnswersError
          ? new CommandError(`${error.message}: see \`twinlog status\``)
          : error;
      } finally {
        stopTelling();
        forget();
        reader.close();
        await bus.stop();
      }
    });
}

async function tellAll(world: CommandWorld, reader: ResultsReader): Promise<void> {
  for await (const event of reader) await world.out(lineOf(event));
}

/** How long nobody answers before that is said, once for each time. */
const silenceMs = 5_000;

function tellSilence(
  { clock, err }: CommandWorld,
  reader: ResultsReader,
  { service, access }: ResultsFlags,
): () => void {
  let isTold = false;
  const look = () => {
    const isSilent = reader.unansweredMs > silenceMs;
    if (isSilent && !isTold)
      err(`twinlog: no server of ${service} answers at ${access.shown}; it is asked again and again\n`);
    isTold = isSilent;
    timer = clock.after(silenceMs / 5, look);
  };
  let timer = clock.after(silenceMs, look);
  return () => timer.cancel();
}

/** The reply's own bytes stand in the line, so that it is what clients got. */
function lineOf(event: ResultEvent | HistoryEvent): string {
  if (event.type === "history") {
    const { history, next, previous } = event;
    return `${JSON.stringify({ history, next, previous })}\n`;
  }
  const { history, result, epoch, sequence, subject, traceparent } = event;
  const head = JSON.stringify({ history, result, epoch, sequence, subject, traceparent });
  return `${head.slice(0, -1)},"reply":${Buffer.from(event.bytes).toString()}}\n`;
}
