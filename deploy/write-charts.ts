/**
 * `npm run charts`: writes the machines' charts into ARCHITECTURE.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { withCharts } from "./architecture.ts";

const path = fileURLToPath(new URL("../../ARCHITECTURE.md", import.meta.url));
const before = readFileSync(path, "utf8");
const after = withCharts(before);
if (after === before) console.log("ARCHITECTURE.md: the charts are up to date");
else {
  writeFileSync(path, after);
  console.log("ARCHITECTURE.md: the charts are written anew");
}
