/**
 * `twinlog/client` as a bundler for browsers takes it: the entry for browsers, nothing that is Node's, and not too much of it.
 */
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import test from "ava";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../..", import.meta.url));
/** zod, nats.ws and ours, minified and compressed. */
const maxBytes = 110_000;

for (const entry of ["twinlog/client", "twinlog/browser"])
  test(`${entry} is bundled for a browser`, async (t) => {
    const { metafile, outputFiles } = await build({
      stdin: { contents: `export { connect } from "${entry}"`, resolveDir: root },
      bundle: true,
      format: "esm",
      platform: "browser",
      // nats.ws has a way without a browser's `crypto`, which would ask Node's.
      define: { require: "undefined" },
      minify: true,
      metafile: true,
      write: false,
      logLevel: "silent",
    });
    const inputs = Object.keys(metafile.inputs);
    t.true(inputs.includes("dist/actors/connect-browser.js"));
    t.false(inputs.some((path) => /settings|connect\.js|-node\.js|log-in-nats|node_modules\/nats\//.test(path)));
    const [bundle] = outputFiles;
    const bytes = gzipSync(bundle?.contents ?? "").length;
    t.true(bytes < maxBytes, `${bytes} bytes`);
    t.notRegex(bundle?.text ?? "", /\bBuffer\.(from|alloc|concat|byteLength)\b/);
  });
