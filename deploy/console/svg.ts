/**
 * A machine's chart as one SVG picture, for documents and printers: what layout.ts placed, with no script and nothing from elsewhere.
 * What always holds: every state and every way is in it; the events of a way are its title, which a reader shows where it is pointed
 * at; light and dark follow whoever looks.
 */
import type { Box, Chart, Way } from "./layout.ts";

const titleHeight = 46;
const lineHeight = 18;
const style = `
    .paper { fill: #ffffff } text { font: 14px system-ui, sans-serif; fill: #1c2430 } .small { font-size: 12px; fill: #55606e }
    rect.state { fill: #f4f6f9; stroke: #8893a2; stroke-width: 1.25 } rect.around { fill: none; stroke: #c3cad4 }
    rect.final { stroke-width: 3 } .initial { fill: #1c2430 }
    path { fill: none; stroke: #55606e; stroke-width: 1.5 } path.other { stroke: #b4bcc8; stroke-width: 1; stroke-dasharray: 3 4 }
    .shape-head { fill: #55606e } .other-head { fill: #8d97a5 }
    path:hover { stroke: #b4330e; stroke-width: 3 }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #12161c } text { fill: #e6eaf0 } .small { fill: #a3adba } rect.state { fill: #1d242d; stroke: #77828f }
      rect.around { stroke: #3b4552 } .initial { fill: #e6eaf0 } path { stroke: #a3adba } path.other { stroke: #4d5866 }
      .shape-head { fill: #a3adba } .other-head { fill: #5d6876 }
    }`;

export function chartSvg({ machine, decides, width, height, boxes, ways }: Chart): string {
  const led = ways.filter(({ line }) => line !== "");
  const said = ways.filter(({ line }) => line === "").map(sentence);
  const below = titleHeight + height;
  const whole = below + (said.length === 0 ? 0 : (said.length + 1) * lineHeight);
  const longest = Math.max(`${machine}: ${decides}`.length, ...said.map(({ length }) => length));
  const wide = Math.max(width, Math.ceil(longest * 7.6) + 40);
  const lines = said.map(
    (text, index) => `    <text class="small" x="20" y="${below + (index + 1) * lineHeight}">${escaped(text)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${whole}" viewBox="0 0 ${wide} ${whole}" role="img">
  <title>${escaped(`${machine}: ${decides}`)}</title>
  <style>${style}
  </style>
  <defs>
${["shape", "other"].map(markerSvg).join("\n")}
  </defs>
  <rect class="paper" width="100%" height="100%"/>
  <text x="20" y="28"><tspan font-weight="600">${escaped(machine)}</tspan>: ${escaped(decides)}</text>
  <g transform="translate(0 ${titleHeight})">
${[...boxes.map(boxSvg), ...led.map(waySvg)].join("\n")}
  </g>
${lines.join("\n")}
</svg>
`;
}

/** One for each colour: not every reader knows `context-stroke`. */
function markerSvg(name: string): string {
  return `    <marker id="${name}-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
      <polygon class="${name}-head" points="0,0 8,4 0,8"/>
    </marker>`;
}

function boxSvg({ path, name, kind, isLeaf, isInitial, x, y, width, height }: Box): string {
  const kinds = `${isLeaf ? "state" : "around"}${kind === "final" ? " final" : ""}`;
  const [textX, textY] = isLeaf ? [x + width / 2, y + height / 2 + 5] : [x + 14, y + 21];
  const anchor = isLeaf ? ' text-anchor="middle"' : "";
  const dot = isInitial ? `<circle class="initial" cx="${x + 8}" cy="${y + 8}" r="3.5"/>` : "";
  return `    <g><title>${escaped(path)}</title><rect class="${kinds}" x="${x}" y="${y}" width="${width}" height="${height}" rx="7"/>${dot}<text x="${textX}" y="${textY}"${anchor}>${escaped(name)}</text></g>`;
}

function waySvg(way: Way): string {
  const { line, isSkeleton } = way;
  const name = isSkeleton ? "shape" : "other";
  return `    <path class="${name}" d="${line}" marker-end="url(#${name}-head)"><title>${escaped(sentence(way))}</title></path>`;
}

function sentence({ from, to, events }: Pick<Way, "from" | "to" | "events">): string {
  const where = from === to ? `in ${from === "" ? "any state" : from}` : `${from === "" ? "any state" : from} to ${to}`;
  return `${where}: ${events.join(", ")}`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
