/**
 * Serves the trading page on this machine: put together by esbuild when it is started, under a policy that lets it speak with this
 * page's own files and one broker.
 *
 *   node dist/deploy/examples/trading/serve.js [ws://127.0.0.1:4228] [PORT]
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [nats = "ws://127.0.0.1:4228", port = "8080"] = process.argv.slice(2);
/** From the built file, in `dist/`, and from this one. */
const ups = import.meta.url.includes("/dist/") ? "../../../../deploy/examples/trading/" : "./";
const page = fileURLToPath(new URL(`${ups}page/`, import.meta.url));
const broker = new URL(nats);
if (!/^wss?:$/.test(broker.protocol)) throw new Error(`${nats}: give the address of a WebSocket, ws:// or wss://`);

const { outputFiles } = await build({
  entryPoints: [`${page}start.ts`],
  bundle: true,
  write: false,
  format: "esm",
  platform: "browser",
  target: "es2022",
  minify: true,
  // nats.ws has a way for where there is no crypto of a browser's, which would ask Node's.
  define: { require: "undefined" },
});
const files = new Map([
  ["/", { type: "text/html; charset=utf-8", bytes: await readFile(`${page}index.html`) }],
  ["/page.css", { type: "text/css; charset=utf-8", bytes: await readFile(`${page}page.css`) }],
  ["/page.js", { type: "text/javascript; charset=utf-8", bytes: outputFiles[0]?.contents ?? "" }],
]);
const headers = {
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src data:",
    `connect-src ${broker.protocol}//${broker.host}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-store",
};

const server = createServer(({ method, url = "/" }, response) => {
  const file = method === "GET" ? files.get(url.split("?")[0] ?? "/") : undefined;
  if (file === undefined) response.writeHead(404, headers).end();
  else response.writeHead(200, { ...headers, "Content-Type": file.type }).end(file.bytes);
});
server.listen(Number(port), "127.0.0.1", () => {
  const address = server.address();
  const at = typeof address === "object" && address !== null ? address.port : port;
  console.log(`trade at http://127.0.0.1:${at}/?nats=${encodeURIComponent(nats)}`);
});
