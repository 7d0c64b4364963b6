/** A chart as a picture: nothing of the definition is missing, and it is one sound document that asks for nothing. */
import test from "ava";
import { layoutCharts } from "../../deploy/console/layout.ts";
import { chartSvg } from "../../deploy/console/svg.ts";

/** Tags that were opened and not closed, or closed and not opened. */
function unbalanced(svg: string): string[] {
  const open: string[] = [];
  for (const [, slash, name = "", end] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/gi)) {
    if (end === "/") continue;
    if (slash !== "/") open.push(name);
    else if (open.pop() !== name) return [`</${name}>`];
  }
  return open;
}

test("every state and every way of each machine is in its picture", async (t) => {
  for (const chart of await layoutCharts()) {
    const svg = chartSvg(chart);
    t.deepEqual(unbalanced(svg), [], chart.machine);
    t.is(svg.match(/<rect class="(state|around)/g)?.length, chart.boxes.length);
    for (const { path } of chart.boxes) t.true(svg.includes(`<g><title>${path}</title>`), path);
    const said = chart.ways.flatMap(({ events }) => events).map((event) => event.replaceAll(">", "&gt;"));
    for (const event of said) t.true(svg.includes(event), `${chart.machine}: ${event}`);
    t.false(/<script|href|url\((?!#)|@import/.test(svg), "it is whole by itself");
  }
});
