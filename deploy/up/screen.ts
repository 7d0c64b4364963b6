/**
 * What `twinlog up` prints when both servers are in sync: what runs where, and three commands to try. It fits on one screen.
 */
import type { ServerStatus } from "../../schemas/status.ts";

export interface ScreenFacts {
  readonly service: string;
  readonly application: string;
  readonly nats: {
    readonly url: string;
    readonly pid: number | null;
    readonly version: string;
    readonly data: string;
    readonly websocketPort: number | null;
  };
  readonly servers: readonly {
    readonly name: string;
    readonly pid: number | null;
    readonly port: number;
    /** Where it answers machines; undefined: it does not. */
    readonly http: number | undefined;
    readonly data: string;
    readonly log: string;
    readonly status: ServerStatus | undefined;
  }[];
  /** Where it is; empty: there is none. */
  readonly console: string;
  /** How the command line is called from here. */
  readonly twinlog: string;
  /** The folder with what everybody logs in to nats-server with. */
  readonly access: string;
}

const examples: Readonly<Record<string, string>> = {
  exchange: `'{"type":"limit","symbol":"BTCUSD","order":"o1","side":"buy","price":7831800,"quantity":100}'`,
  ledger: `'{"type":"open","account":"alice"}'`,
};

export function screen({ service, application, nats, servers, console, twinlog, access }: ScreenFacts): string {
  const primary = servers.find(({ status }) => status?.role === "primary");
  const rows = [
    ["", "process", "role", "listens on", "data"],
    ["nats-server", String(nats.pid ?? "-"), nats.version, nats.url, nats.data],
    ...servers.map(({ name, pid, port, data, status }) => [
      name,
      String(pid ?? "-"),
      status === undefined ? "-" : `${status.role} (${status.application})`,
      `127.0.0.1:${port}`,
      data,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const table = rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd(),
  );
  const machines = servers.flatMap(({ name, http }) =>
    http === undefined ? [] : [`http://127.0.0.1:${http} (${name})`],
  );
  const { mode = "unknown", epoch = 0 } = primary?.status ?? {};
  return [
    "",
    `Twinlog runs service ${service} (application ${application}): mode ${mode}, epoch ${epoch}.`,
    "",
    ...table,
    "",
    ...(console === "" ? [] : [`Watch it in a browser: ${console} (to act there: ${twinlog} password ME)`]),
    ...(machines.length === 0
      ? []
      : [`Machines ask ${machines.join(", ")}: /health, /readyz, /primary, /backup, /metrics`]),
    ...(nats.websocketPort === null
      ? []
      : [`Browsers speak NATS at ws://127.0.0.1:${nats.websocketPort}, as ${access}/trader.nk`]),
    ...(console === "" && machines.length === 0 && nats.websocketPort === null ? [] : [""]),
    "Try in another terminal, from this folder:",
    `  ${twinlog} request ${examples[application] ?? `'{…}'    # ${twinlog} schema says what goes in there`}`,
    `  ${twinlog} results --from 1`,
    `  kill -9 ${primary?.pid ?? "<process of the primary>"}    # the primary: the backup takes over, and it comes back as backup`,
    "",
    `Other programs log in to NATS as a role, with ${access}/client.nk and so on; the nats tool: nats --context ${access}/client.json`,
    `Logs: ${servers.map(({ log }) => log).join(", ")}. Ctrl-C stops everything and loses nothing.`,
    "",
  ].join("\n");
}
