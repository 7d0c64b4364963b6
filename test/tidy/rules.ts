/**
 * The house rules that a machine can check in one file; each returns one sentence for every place that breaks it.
 *
 * The patterns of marks that must not stand in the sources have a letter in brackets, so that this file does not break its own rules.
 */
import type { SourceFile } from "./sources.ts";

type Rule = (file: SourceFile) => string[];

export const wantedLines = 400;

const asksTheWorld = [
  /\bDate\.now\b/,
  /\bnew Date\b/,
  /\bMath\.random\b/,
  /\bperformance\.now\b/,
  /\bprocess\.hrtime\b/,
  /\bset(Timeout|Interval|Immediate)\b/,
  /\brandom(UUID|Bytes|Int)\b/,
  /\bgetRandomValues\b/,
];
const actsOnTheWorld = [/\bprocess\./, /\bconsole\./, /\bfetch\(/, /\bglobalThis\b/];

/** Decisions are pure, and actors ask the world for time and chance through a port. */
export const noHiddenInputs: Rule = (file) => {
  if (file.path.startsWith("machines/")) {
    return linesWith(file.path, file.code, [...asksTheWorld, ...actsOnTheWorld], "machines are pure: pass it in");
  }
  const adapters = ["actors/world/", "actors/testing/world/"];
  const isActor = file.path.startsWith("actors/") && !adapters.some((folder) => file.path.startsWith(folder));
  return isActor
    ? linesWith(file.path, file.code, asksTheWorld, "only adapters in actors/world may: use the Clock port")
    : [];
};

export const noDefaultExport: Rule = ({ path, code }) =>
  linesWith(path, code, [/^\s*export\s+default\b/, /\bas\s+default\b/], "export it by its name");

export const noAny: Rule = ({ path, code }) =>
  linesWith(
    path,
    code,
    [/[:<|&,(=]\s*any\b(?!\s*[:(.=])/, /\b(as|extends|is)\s+any\b/, /\bany\[\]/],
    "use unknown and look",
  );

const marks =
  /\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b|@ts-[i]gnore|@ts-[n]ocheck|biome-[i]gnore|oxlint-[d]isable|eslint-[d]isable/;
const halfTests = /\btest\.(serial\.)?(skip|todo|failing|only)\b/;

export const nothingUnfinished: Rule = ({ path, text, code }) => [
  ...linesWith(path, text, [marks], "finish it, or leave it out and say so where users read it"),
  ...linesWith(path, code, [halfTests], "a test runs or is not there"),
];

const machinePaths = new RegExp(`(^|[^\\w.])/(${["home", "Users", "root", "work"].join("|")})/\\w`);

/** For every text file, not only for sources. */
export function noPathsOfOneMachine(path: string, text: string): string[] {
  return linesWith(path, text, [machinePaths], "a path of one machine");
}

/** A file opens with what it is for. */
export const opensWithItsPurpose: Rule = ({ path, text }) => {
  const opening = /^(#!.*\n)?(\/\*\*?([\s\S]*?)\*\/|((\/\/.*\n)+))/.exec(text);
  const words = (opening?.[3] ?? opening?.[4] ?? "").replace(/[\s*/]+/g, " ").trim();
  return words.length >= 30 ? [] : [`${path}: must open with a comment that says what the file is for`];
};

export const sourceRules: Rule[] = [noHiddenInputs, noDefaultExport, noAny, nothingUnfinished, opensWithItsPurpose];

export function lineCount(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

function linesWith(path: string, text: string, patterns: RegExp[], advice: string): string[] {
  return text.split("\n").flatMap((line, index) =>
    patterns.flatMap((pattern) => {
      const found = pattern.exec(line)?.[0].trim();
      return found === undefined ? [] : [`${path}:${index + 1}: ${found}: ${advice}`];
    }),
  );
}
