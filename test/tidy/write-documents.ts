/**
 * `npm run documents`: writes the generated parts of the documents anew, and says which of them changed.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generated, withParts } from "./generated.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
for (const path of Object.keys(generated)) {
  const before = readFileSync(join(root, path), "utf8");
  const after = withParts(path, before);
  if (after !== before) writeFileSync(join(root, path), after);
  console.log(`${path}: ${after === before ? "is up to date" : "written anew"}`);
}
