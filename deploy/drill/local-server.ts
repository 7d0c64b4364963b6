/**
 * Whether a process of this machine is the server that a status speaks of. A status names a process id of its own machine,
 * which may be another one: nothing is ever signalled before its command line and its settings were read and fit.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { resolve } from "node:path";
import { Settings } from "../../schemas/settings.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { parseJson } from "../json-text.ts";

/** The settings of the server's process; a sentence that says why it may not be signalled. */
export function localServer({ pid, service, name }: ServerStatus): Settings | string {
  if (process.platform !== "linux") return "only Linux tells what a process is (/proc)";
  let words: string[];
  let folder: string;
  try {
    words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\u0000");
    folder = readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return `process ${pid} of ${name} is not on this machine, or not ours to signal`;
  }
  const config = words[words.indexOf("--config") + 1];
  if (!words.includes("server") || !words.includes("--config") || config === undefined)
    return `process ${pid} on this machine is another program than ${name}, which runs elsewhere`;
  try {
    const settings = Settings.parse(parseJson(readFileSync(resolve(folder, config))));
    if (settings.service === service && settings.server === name) return settings;
  } catch {
    return `the settings of process ${pid} (${config}) cannot be read`;
  }
  return `process ${pid} on this machine is not ${name} of ${service}, which runs elsewhere`;
}
