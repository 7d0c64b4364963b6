/**
 * `twinlog chart`: any machine of a server as text, Mermaid or SVG, read from the definition that decides. Needs no running service, but with
 * `--live`, which marks the present state.
 */
import { Argument, Command, Option } from "commander";
import { chartMermaid, chartText } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import { addAccessOptions } from "./access.ts";
import { showLiveChart } from "./live-chart.ts";
import { type ServiceFlags, serviceMeant } from "./service-command.ts";
import { CommandError, type CommandWorld, parseService } from "./world.ts";

interface ChartFlags extends ServiceFlags {
  format: Format;
  live: boolean;
  server?: string;
}

const texts = { text: chartText, mermaid: chartMermaid } as const;
type Format = keyof typeof texts | "svg";

export function chartCommand(world: CommandWorld): Command {
  const names = Object.keys(machines);
  const list = Object.entries(machines).map(([name, { decides }]) => `  ${name.padEnd(12)} ${decides}\n`);
  const command = new Command("chart")
    .description("print a server's state machines")
    .addArgument(new Argument("[machine]", "which one; all of them if none is named").choices(names))
    .addOption(new Option("--format <format>", "how").choices([...Object.keys(texts), "svg"]).default("text"))
    .option(
      "--live",
      "as it is now, again and again, until Ctrl-C: the present state is marked (lifecycle, if none is named)",
      false,
    )
    .option("--server <name>", "with --live: of this server alone")
    .option("--service <name>", "with --live: the service's name; also from TWINLOG_SERVICE", parseService)
    .addHelpText(
      "after",
      `\nMachines:\n${list.join("")}\nExamples:\n  $ twinlog chart lifecycle\n  $ twinlog chart lifecycle --live --server alpha\n  $ twinlog chart link --format mermaid\n  $ twinlog chart lifecycle --format svg > lifecycle.svg\n`,
    );
  return addAccessOptions(command).action(async (named: string | undefined, flags: ChartFlags) => {
    const { format } = flags;
    if (flags.live) {
      if (format !== "text") throw new CommandError("--live is text");
      const { service, access } = await serviceMeant(world, "chart", flags);
      const bus = await world.connect(access, () => undefined);
      try {
        await showLiveChart(world, bus, { service, machine: named ?? "lifecycle", server: flags.server });
      } finally {
        await bus.stop();
      }
      return;
    }
    if (format === "svg") {
      if (named === undefined) throw new CommandError(`one picture is of one machine: name one of ${names.join(", ")}`);
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
