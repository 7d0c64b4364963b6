/**
 * What documents and comments point at: where a link leads nowhere, and where a file is named that is not in the repository.
 */
import { posix } from "node:path";

/** Text and not code: what stands between fences is not looked at. */
const withoutFences = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, "");

/** As a heading's address is made: lower case, no marks, words joined by dashes. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");

export const anchorsOf = (text: string): string[] =>
  [...withoutFences(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));

/** The relative links of a document outside of code: as they are written, and what they mean from the repository's top. */
export function linksOf(path: string, text: string): { link: string; target: string; anchor: string | undefined }[] {
  return [...withoutFences(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file = "", anchor] = link.split("#");
    return [{ link, target: file === "" ? path : posix.join(posix.dirname(path), file), anchor }];
  });
}

/** One sentence for each relative link of a document that leads nowhere. `read` is undefined for what is not there. */
export function deadLinks(path: string, text: string, read: (path: string) => string | undefined): string[] {
  return linksOf(path, text).flatMap(({ link, target, anchor }) => {
    const there = target === path ? text : read(target);
    if (there === undefined) return [`${path}: the link ${link} leads nowhere`];
    return anchor === undefined || anchorsOf(there).includes(anchor)
      ? []
      : [`${path}: ${target} has no heading #${anchor}`];
  });
}

const isOneOf = (paths: readonly string[], named: string): boolean =>
  paths.some((each) => each === named || each.endsWith(`/${named}`));

/** One sentence for each file of text that stands in backquotes and is not here; the end of its path is enough. */
export function missingFiles(path: string, text: string, paths: readonly string[]): string[] {
  return [...withoutFences(text).matchAll(/`([\w./-]+\.(?:ts|mjs|md|txt))`/g)].flatMap(([, named = ""]) =>
    isOneOf(paths, named) ? [] : [`${path}: ${named} is not here`],
  );
}

/** The same of a source's comments, in backquotes or not. */
export function missingFilesOfComments(path: string, text: string, paths: readonly string[]): string[] {
  const comments = [...text.matchAll(/^[ \t]*(?:\/\*[\s\S]*?\*\/|\/\/.*)/gm)].map(([comment]) => comment).join("\n");
  return [...comments.matchAll(/(?<![\w./-])[\w./-]*\w\.(?:ts|mjs|md)\b/g)].flatMap(([named]) =>
    isOneOf(paths, named) ? [] : [`${path}: ${named} is not here`],
  );
}

/** One sentence for each name in backquotes (`Replica.endTurn`, `becomeHot`) a word of which is in no source. */
export function missingNames(path: string, text: string, words: ReadonlySet<string>): string[] {
  return [...withoutFences(text).matchAll(/`([A-Za-z]\w*(?:\.[A-Za-z]\w*)*)`/g)].flatMap(([, named = ""]) =>
    /\.(ts|mjs|md|json|txt)$/.test(named) || named.split(".").every((word) => words.has(word))
      ? []
      : [`${path}: nothing in the sources is called ${named}`],
  );
}
