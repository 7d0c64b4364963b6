/**
 * What machines/PROTOCOL.md numbers: rules, situations and invariants, and where a file cites a number that it does not have.
 */

export type Cited = "rule" | "situation" | "invariant";

const headings: Record<Cited, string> = { rule: "Rules", situation: "Situations", invariant: "Invariants" };

/** The numbers under each heading, in the order of the page. */
export function numbersOf(protocol: string): Record<Cited, number[]> {
  const under = (heading: string) => {
    const [, section = ""] = new RegExp(`^## ${heading}$([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, "m").exec(protocol) ?? [];
    return [...section.matchAll(/^(\d+)\. /gm)].map((found) => Number(found[1]));
  };
  return { rule: under(headings.rule), situation: under(headings.situation), invariant: under(headings.invariant) };
}

/** One sentence for each number that is cited and not there, and for each document that is not in the repository. */
export function citesWhatIsNotThere(path: string, text: string, numbers: Record<Cited, number[]>): string[] {
  const wrong: string[] = [];
  for (const [cited, kind, list] of text.matchAll(/\b(rule|situation|invariant)s? (\d+(?:(?:, | and | or )\d+)*)/gi)) {
    const known = numbers[(kind ?? "").toLowerCase() as Cited];
    for (const [number] of (list ?? "").matchAll(/\d+/g))
      if (!known.includes(Number(number)))
        wrong.push(`${path}: ${cited}: machines/PROTOCOL.md has no ${kind} ${number}`);
  }
  for (const [document] of text.matchAll(/\b(DESIGN|STYLE|FACTS|PEERS)\.m[d]\b/g))
    wrong.push(`${path}: ${document} is not here`);
  return wrong;
}
