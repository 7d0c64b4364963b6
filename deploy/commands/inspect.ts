/**
 * `twinlog inspect`: what a stopped server has on its disk, read-only, and whether all of it is sound. Options ask for records,
 * one request, rows or items instead of the summary. Exit status 0 only if the store is sound.
 */
import { Command } from "commander";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import { type InspectVisitor, inspect } from "../inspect.ts";
import { eachRecord, Lines, type RowChoice, recordOf, rowVisitor } from "./inspect-lines.ts";
import { foundText, RequestSearch } from "./inspect-request.ts";
import { identityText, summaryOf, summaryText } from "./inspect-text.ts";
import { verifyStores } from "./inspect-verify.ts";
import { CommandError, type CommandWorld, wholeNumber } from "./world.ts";

interface InspectFlags extends RowChoice {
  json: boolean;
  verify: boolean;
  records: boolean;
  rows: boolean;
  sequence?: number;
  from?: number;
  to?: number;
  client?: string;
  id?: string;
  limit: number;
  copy?: string;
}

/** So many lines are printed, unless more are asked for. */
const normalLimit = 1_000;

const examples = [
  "twinlog inspect .twinlog/alpha",
  "twinlog inspect .twinlog/alpha --verify",
  "twinlog inspect .twinlog/alpha --records --from 1000 --to 1010",
  "twinlog inspect .twinlog/alpha --client alice --id 42",
  "twinlog inspect .twinlog/alpha --table orders --prefix BTC",
];

export function inspectCommand(world: CommandWorld): Command {
  return new Command("inspect")
    .description("show what a stopped server has on its disk, and whether it is sound; nothing is changed")
    .argument("<directory>", "the server's data directory")
    .option("--json", "the summary, or what is found of a request, as JSON", false)
    .option("--copy <name>", "an earlier store that was set aside there, by its name, instead of the present one")
    .option("--verify", "check the store, and each that was set aside, whole; a line each", false)
    .option("--records", "the log instead, a record a line", false)
    .option("--sequence <n>", "this record alone", wholeNumber("--sequence", 1))
    .option("--from <sequence>", "with --records: the first record wanted", wholeNumber("--from", 1))
    .option("--to <sequence>", "with --records: the last one", wholeNumber("--to", 1))
    .option("--client <name>", "records of this client's requests; with --id one request, and its reply")
    .option("--id <id>", "with --client: the request's id")
    .option("--rows", "tables and queues instead, a row or an item a line", false)
    .option("--table <name>", "rows of this table")
    .option("--key <key>", "the row with this key")
    .option("--prefix <text>", "rows whose keys begin so")
    .option("--queue <name>", "items of this queue, the oldest first")
    .option("--limit <lines>", "no more than so many; 0: all of them", wholeNumber("--limit", 0), normalLimit)
    .addHelpText("after", `\nExamples:\n${examples.map((example) => `  $ ${example}\n`).join("")}`)
    .action(async (directory: string, flags: InspectFlags) => {
      const asked = askedOf(flags);
      const limit = flags.limit === 0 ? Number.POSITIVE_INFINITY : flags.limit;
      if (asked === "verify") await verifyStores(world, directory, flags);
      else if (asked === "request") await tellRequest(world, directory, flags, limit);
      else if (asked === "summary") await tellSummary(world, directory, flags);
      else await tellLines(world, directory, flags, new Lines(world, limit), asked);
    });
}

/** Of a store that is not sound too it is told what it says of itself: whoever has several has to know which it is. */
async function tellSummary(world: CommandWorld, directory: string, { json, copy }: InspectFlags): Promise<void> {
  let itself = "";
  const onMeta = (meta: CheckpointMeta) => {
    itself = identityText(meta);
  };
  const inspection = await inspect(directory, world.clock, { onMeta }, copy).catch((error: unknown) => {
    if (itself !== "") world.err(`twinlog: ${itself}\n`);
    throw error;
  });
  await world.out(json ? `${JSON.stringify(summaryOf(inspection))}\n` : summaryText(inspection));
}

type Asked = "summary" | "verify" | "request" | "records" | "rows";

/** What the options ask for together. Throws CommandError where they ask for two things. */
function askedOf(flags: InspectFlags): Asked {
  const { table, queue, key, prefix } = flags;
  const isOfRows = flags.rows || [table, queue, key, prefix].some((each) => each !== undefined);
  const isOfRecords =
    flags.records || [flags.sequence, flags.from, flags.to, flags.client].some((each) => each !== undefined);
  if (flags.id !== undefined && flags.client === undefined)
    throw new CommandError("--id is of one client: add --client");
  if (flags.sequence !== undefined && (flags.from ?? flags.to) !== undefined)
    throw new CommandError("give --sequence for one record, or --from and --to for a range");
  if (queue !== undefined && (table ?? key ?? prefix) !== undefined)
    throw new CommandError("items of a queue have no keys: give --queue alone, or --table");
  if ([isOfRows, isOfRecords, flags.verify].filter(Boolean).length > 1)
    throw new CommandError("give options for records, for rows, or --verify, one at a time");
  if (flags.verify) return "verify";
  if (isOfRows) return "rows";
  if (flags.id !== undefined) return "request";
  return isOfRecords ? "records" : "summary";
}

async function tellLines(
  world: CommandWorld,
  directory: string,
  flags: InspectFlags,
  lines: Lines,
  asked: "records" | "rows",
): Promise<void> {
  const visitor: InspectVisitor = {
    drained: () => lines.drained(),
    ...(asked === "rows" ? rowVisitor(flags, lines) : recordVisitor(flags, lines)),
  };
  const { parts } = await inspect(directory, world.clock, visitor, flags.copy);
  await lines.end();
  if (lines.omitted > 0) world.err(`twinlog: ${lines.omitted} more are not shown: see --limit\n`);
  const named = flags.table ?? flags.queue;
  const kinds = flags.queue === undefined ? ["table", "part"] : ["queue", "part"];
  const known = [...parts.values()].filter(({ kind }) => kinds.includes(kind)).map(({ name }) => name);
  if (named !== undefined && !known.includes(named))
    throw new CommandError(
      `there is no ${flags.queue === undefined ? "table" : "queue"} ${named}; there are: ${known.join(", ") || "none"}`,
    );
}

function recordVisitor(
  { sequence, from = sequence, to = sequence, client }: InspectFlags,
  lines: Lines,
): InspectVisitor {
  return {
    onBatch: ({ bytes, first, last }) => {
      if (last < (from ?? 1) || first > (to ?? last)) return;
      eachRecord(bytes, (reader) => {
        if (reader.sequence < (from ?? 1) || reader.sequence > (to ?? reader.sequence)) return;
        if (client === undefined || reader.client === client) lines.add(() => recordOf(reader));
      });
    },
  };
}

async function tellRequest(world: CommandWorld, directory: string, flags: InspectFlags, limit: number): Promise<void> {
  const search = new RequestSearch(flags.client ?? "", flags.id ?? "", limit);
  const { meta } = await inspect(directory, world.clock, search, flags.copy);
  const found = search.found(meta);
  await world.out(flags.json ? `${JSON.stringify(found)}\n` : foundText(found, meta));
}
