/**
 * Where deploy/RUNBOOK.md tells what to do. What always holds: a code's entry is its heading there, with dashes for dots, so that
 * a link can be typed and searched for; a test holds every entry against the lists in the code.
 */

export const runbookPath = "deploy/RUNBOOK.md";

/** `backup.lost`: deploy/RUNBOOK.md#backup-lost. */
export function runbookEntry(code: string): string {
  return `${runbookPath}#${anchorOf(code)}`;
}

export function anchorOf(code: string): string {
  return code.toLowerCase().replaceAll(".", "-");
}
