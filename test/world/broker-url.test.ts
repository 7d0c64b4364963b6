/** A broker's address: what is logged in with, and what is shown of it. */
import test from "ava";
import { credentialsIn, shownUrl } from "../../actors/world/broker-url.ts";

for (const [url, shown, credentials] of [
  ["nats://127.0.0.1:4222", "nats://127.0.0.1:4222", {}],
  ["localhost", "localhost", {}],
  ["nats://alice:s3cret@host:4222", "nats://host:4222", { user: "alice", pass: "s3cret" }],
  ["alice:s3cret@host", "host", { user: "alice", pass: "s3cret" }],
  ["tls://tok%40en@[::1]:4222", "tls://[::1]:4222", { token: "tok@en" }],
  ["nats://alice:p@ss@host", "nats://host", { user: "alice", pass: "p@ss" }],
  ["nats://alice:%zz@not an address", "nats://not an address", { user: "alice", pass: "%zz" }],
] as const)
  test(`${shown} is shown of an address with ${Object.keys(credentials).join(" and ") || "no login"}: ${url.length} characters`, (t) => {
    t.is(shownUrl(url), shown);
    t.deepEqual(credentialsIn(url), credentials);
  });
