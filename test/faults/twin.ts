/** A second server in the name of a pair's, told by nothing but its port: what its settings file says. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import type { Pair } from "../helpers/pair/pair.ts";
import { Ports } from "../helpers/pair/ports.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

/** Writes the settings of a twin: on the same data directory, or on an empty one of its own. */
export async function writeTwin(t: ExecutionContext, pair: Pair, of: string, disk: "same" | "empty"): Promise<string> {
  const ports = new Ports();
  t.teardown(() => ports.release());
  const settings = structuredClone(pair.settings.get(of));
  if (settings === undefined) throw new Error(`there are no settings of ${of}`);
  const folder = await temporaryDirectory(t);
  const port = await ports.reserve();
  settings.servers = settings.servers.map((each) => (each.name === of ? { ...each, port } : each));
  if (disk === "empty") settings.dataDirectory = join(folder, "data");
  const configFile = join(folder, "twin.json");
  await writeFile(configFile, JSON.stringify(settings));
  return configFile;
}
