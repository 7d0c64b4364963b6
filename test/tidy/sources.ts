/**
 * The repository's own files, read for the tidy checks: their text, their code without comments and strings, and their imports.
 *
 * The scanner knows comments, strings, templates and regular expressions, and nothing else of the language: enough to tell code from
 * words. Blanked text keeps its line breaks, so that line numbers stay true.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

export type Import = { specifier: string; names: string[]; isType: boolean };

export type SourceFile = {
  /** From the repository's top, with forward slashes. */
  path: string;
  text: string;
  /** The text with the content of comments, strings, templates' text and regular expressions blanked. */
  code: string;
  imports: Import[];
};

const ignored = new Set(["node_modules", "dist", ".twinlog", ".git"]);

/** All files below `root` that were neither brought nor built, as paths with forward slashes. */
export function listFiles(root: string, folder = ""): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (ignored.has(entry.name)) {
      return [];
    }
    return entry.isDirectory() ? listFiles(root, path) : [path];
  });
}

export function readSource(root: string, path: string): SourceFile {
  return parseSource(path, readFileSync(join(root, path), "utf8"));
}

export function parseSource(path: string, text: string): SourceFile {
  return { path, text, code: blankWords(text), imports: findImports(text) };
}

/** The path that a relative import of `from` means. */
export function resolveImport(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier);
}

const statement = /^(?:import|export)\s+(type\s+)?([^"';]*?)\s*from\s*["']([^"']+)["']|^import\s*["']([^"']+)["']/gm;
const dynamic = /\bimport\(\s*["']([^"']+)["']\s*\)/g;

function findImports(text: string): Import[] {
  const code = blankWords(text, { keepStrings: true });
  const statements = [...code.matchAll(statement)].map(([, type, clause = "", from, bare]) => ({
    specifier: from ?? bare ?? "",
    names: namesOf(clause),
    isType: type !== undefined,
  }));
  const dynamics = [...code.matchAll(dynamic)].map(([, specifier = ""]) => ({
    specifier,
    names: ["*"],
    isType: false,
  }));
  return [...statements, ...dynamics];
}

/** `{ a, type B, c as d }` is a, B, c; anything that takes the module as a whole is `*`. */
function namesOf(clause: string): string[] {
  const braces = /\{([^}]*)\}/.exec(clause)?.[1];
  const outside = clause.replace(/\{[^}]*\}/, "").replace(/[\s,]/g, "");
  const named = (braces ?? "").split(",").map(
    (name) =>
      name
        .trim()
        .replace(/^type\s+/, "")
        .split(/\s+as\s+/)[0] ?? "",
  );
  return [...(outside === "" ? [] : ["*"]), ...named.filter((name) => name !== "")];
}

/** What may stand before a slash that opens a regular expression, and not before one that divides. */
const beforeRegex = /(^|[(,=:[!&|?{};+\-*%<>~^]|\b(return|typeof|case|in|of|yield|await))\s*$/;

function blankWords(text: string, { keepStrings = false } = {}): string {
  let code = "";
  let at = 0;
  /** For each template that is open, how many braces are open inside its current `${…}`. */
  const templates: number[] = [];
  const blank = (end: number, keep = false): void => {
    const words = text.slice(at, end);
    code += keep ? words : words.replace(/[^\n]/g, " ");
    at = end;
  };
  while (at < text.length) {
    const rest = text.slice(at, at + 2);
    const character = text[at] ?? "";
    const braces = templates.at(-1);
    if (rest === "//") {
      blank(endOf(text, "\n", at));
    } else if (rest === "/*") {
      blank(endOf(text, "*/", at + 2) + 2);
    } else if (character === '"' || character === "'") {
      blank(endOfQuoted(text, at), keepStrings);
    } else if (character === "`" || (character === "}" && braces === 0)) {
      const end = endOfTemplateText(text, at + 1);
      const opens = text[end - 1] === "{";
      if (character === "}") {
        templates.pop();
      }
      if (opens) {
        templates.push(0);
      }
      blank(end);
    } else if (character === "/" && beforeRegex.test(code.slice(-40))) {
      blank(endOfRegex(text, at));
    } else {
      if (braces !== undefined && (character === "{" || character === "}")) {
        templates[templates.length - 1] = braces + (character === "{" ? 1 : -1);
      }
      code += character;
      at += 1;
    }
  }
  return code;
}

function endOf(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found === -1 ? text.length : found;
}

function endOfQuoted(text: string, from: number): number {
  const quote = text[from];
  let at = from + 1;
  while (at < text.length && text[at] !== quote && text[at] !== "\n") {
    at += text[at] === "\\" ? 2 : 1;
  }
  return at + 1;
}

/** Behind the closing backquote, or behind the `${` that opens code. */
function endOfTemplateText(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    if (text[at] === "`") {
      return at + 1;
    }
    if (text[at] === "$" && text[at + 1] === "{") {
      return at + 2;
    }
    at += text[at] === "\\" ? 2 : 1;
  }
  return at;
}

function endOfRegex(text: string, from: number): number {
  let at = from + 1;
  let inClass = false;
  while (at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/")) {
    if (text[at] === "[") {
      inClass = true;
    } else if (text[at] === "]") {
      inClass = false;
    }
    at += text[at] === "\\" ? 2 : 1;
  }
  return at + 1;
}
