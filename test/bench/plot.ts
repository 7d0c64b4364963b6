/** Bars as SVG: requests a second of each contestant, level by level. Plain shapes that any viewer shows, in light and dark. */
import { of } from "./report.ts";
import type { Level } from "./rounds.ts";

const width = 760;
const barHeight = 16;
const gap = 4;
const groupGap = 22;
const labelWidth = 170;
const valueWidth = 90;
const colours = ["#4477aa", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#66ccee", "#888888", "#225555"];

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

export function plot(levels: readonly Level[], title: string): string {
  const names = [...new Set(levels.map(({ contestant }) => contestant))];
  const groups = [
    ...new Set(levels.map(({ inFlight, isBurst }) => `${inFlight}${isBurst ? " at once" : " in flight"}`)),
  ];
  const most = Math.max(...levels.map((level) => of(level, ({ perSecond }) => perSecond)));
  const scale = (width - labelWidth - valueWidth) / most;
  const parts: string[] = [`<text x="0" y="16" font-weight="bold">${escaped(title)}</text>`];
  let y = 40;
  for (const group of groups) {
    parts.push(`<text x="0" y="${y}" font-weight="bold">${group}</text>`);
    y += 8;
    for (const level of levels.filter((one) => group === `${one.inFlight}${one.isBurst ? " at once" : " in flight"}`)) {
      const perSecond = of(level, (round) => round.perSecond);
      const length = Math.max(1, perSecond * scale).toFixed(1);
      const colour = colours[names.indexOf(level.contestant) % colours.length];
      const middle = y + barHeight - gap;
      parts.push(
        `<text x="0" y="${middle}">${escaped(level.contestant)}</text>`,
        `<rect x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" fill="${colour}"/>`,
        `<text x="${labelWidth + Number(length) + 6}" y="${middle}">${Math.round(perSecond).toLocaleString("en")}/s</text>`,
      );
      y += barHeight + gap;
    }
    y += groupGap;
  }
  const style = "text{font:12px sans-serif;fill:#222}@media(prefers-color-scheme:dark){text{fill:#ddd}}";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" role="img" aria-label="${escaped(title)}"><style>${style}</style>${parts.join("")}</svg>\n`;
}
