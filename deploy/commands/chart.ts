/**
 * `twinlog chart`: any machine of a server as text, Mermaid or SVG, read from the definition that decides. Needs no running service.
 */
import { Argument, Command, Option } from "commander";
import { chartMermaid, chartText } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import { CommandError } from "./world.ts";

/** What it needs of the world that commands get. */
export interface ChartWorld {
  out(text: string): Promise<void>;
}

const texts = { text: chartText, mermaid: chartMermaid } as const;
type Format = keyof typeof texts | "svg";

export function chartCommand(world: ChartWorld): Command {
  const names = Object.keys(machines);
  const list = Object.entries(machines).map(([name, { decides }]) => `  ${name.padEnd(12)} ${decides}\n`);
  return new Command("chart")
    .description("print a server's state machines")
    .addArgument(new Argument("[machine]", "which one; all of them if none is named").choices(names))
    .addOption(new Option("--format <format>", "how").choices([...Object.keys(texts), "svg"]).default("text"))
    .addHelpText(
      "after",
      `\nMachines:\n${list.join("")}\nExamples:\n  $ twinlog chart lifecycle\n  $ twinlog chart link --format mermaid\n  $ twinlog chart lifecycle --format svg > lifecycle.svg\n`,
    )
    .action(async (named: string | undefined, { format }: { format: Format }) => {
      if (format === "svg") {
        if (named === undefined)
          throw new CommandError(`one picture is of one machine: name one of ${names.join(", ")}`);
        await world.out(await drawn(named));
        return;
      }
      for (const [name, { machine, decides }] of Object.entries(machines)) {
        if (named !== undefined && named !== name) continue;
        const title = named === undefined ? `${format === "mermaid" ? "%%" : "#"} ${name}: ${decides}\n` : "";
        await world.out(`${title}${texts[format](machine)}${named === undefined ? "\n" : ""}`);
      }
    });
}

/** What places the boxes is large: it is read where it is needed. */
async function drawn(machine: string): Promise<string> {
  const [{ layoutChart }, { chartSvg }] = await Promise.all([
    import("../console/layout.ts"),
    import("../console/svg.ts"),
  ]);
  return chartSvg(await layoutChart(machine));
}
