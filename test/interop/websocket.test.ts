/**
 * The client in JavaScript, by nats.ws over a WebSocket: a library that shares no line with ours, on the way that browsers take.
 */
import test from "ava";
import { freePort } from "../helpers/free-port.ts";
import { clientsFolder } from "./example-client.ts";
import { byPassword, testClient } from "./prove-client.ts";

const webSockets = { pair: await freePort(), broker: await freePort() };
const program = { command: process.execPath, args: [`${clientsFolder}count.mjs`] };

testClient(test, "nats.ws", async () => program, { ...byPassword, webSockets });
