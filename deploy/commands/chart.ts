/**
 * `twinlog chart`: any machine of a server as text or Mermaid, read from the definition that decides. Needs no running service.
 */
import { Argument, Command, Option } from "commander";
import { chartMermaid, chartText } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";

/** What it needs of the world that commands get. */
export interface ChartWorld {
  out(text: string): Promise<void>;
}

const formats = { text: chartText, mermaid: chartMermaid } as const;

export function chartCommand(world: ChartWorld): Command {
  const names = Object.keys(machines);
  const list = Object.entries(machines).map(([name, { decides }]) => `  ${name.padEnd(12)} ${decides}\n`);
  return new Command("chart")
    .description("print a server's state machines")
    .addArgument(new Argument("[machine]", "which one; all of them if none is named").choices(names))
    .addOption(new Option("--format <format>", "how").choices(Object.keys(formats)).default("text"))
    .addHelpText(
      "after",
      `\nMachines:\n${list.join("")}\nExamples:\n  $ twinlog chart lifecycle\n  $ twinlog chart link --format mermaid\n`,
    )
    .action(async (named: string | undefined, { format }: { format: keyof typeof formats }) => {
      for (const [name, { machine, decides }] of Object.entries(machines)) {
        if (named !== undefined && named !== name) continue;
        const title = named === undefined ? `${format === "mermaid" ? "%%" : "#"} ${name}: ${decides}\n` : "";
        await world.out(`${title}${formats[format](machine)}${named === undefined ? "\n" : ""}`);
      }
    });
}
