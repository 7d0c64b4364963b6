/** A server's settings from a JSON file, checked as a set; what is wrong is said in one line. */
import { readFile } from "node:fs/promises";
import { Settings } from "../schemas/settings.ts";

export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

export async function readSettings(path: string): Promise<Settings> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new SettingsError(`cannot read ${path}: ${(error as Error).message}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new SettingsError(`${path} is not JSON: ${(error as Error).message}`);
  }
  const checked = Settings.safeParse(json);
  if (checked.success) return checked.data;
  const issues = checked.error.issues
    .slice(0, 3)
    .map(({ path: at, message }) => `${at.join(".") || "settings"}: ${message}`);
  throw new SettingsError(`${path}: ${issues.join("; ")}`);
}
