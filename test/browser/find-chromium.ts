/**
 * Where a Chromium is: the one that TWINLOG_CHROMIUM names, or one on the PATH. The page's tests run where there is one, and say why
 * they do not where there is none.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

export function findChromium(environment: NodeJS.ProcessEnv): { path: string } | { why: string } {
  const named = environment.TWINLOG_CHROMIUM;
  if (named !== undefined && named !== "")
    return isProgram(named) ? { path: named } : { why: `TWINLOG_CHROMIUM names ${named}, which is no program` };
  const folders = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const path = folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isProgram);
  if (path !== undefined) return { path };
  return {
    why: "no Chromium is on the PATH: install one (on Debian: apt-get install chromium), or name it in TWINLOG_CHROMIUM",
  };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
