/**
 * TCP ports on loopback. What always holds of one that is found here: a program that connects is never given it by the system,
 * so it is free when whoever listens on it is started again; and no two processes that look here at once find the same.
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/** Systems give ports to those that connect from 32,768 (Linux) or 49,152 on; below 16,000 are the ports that programs are known by. */
const lowestPort = 16_000;
const highestPort = 31_999;

/** This one; another that is free where it is taken, or 0. Throws where none is left. */
export async function freePort(wanted = 0): Promise<number> {
  if (wanted !== 0 && !(await isTaken(wanted))) return wanted;
  const count = highestPort - lowestPort + 1;
  const first = randomInt(count);
  for (let index = 0; index < count; index += 1) {
    const port = lowestPort + ((first + index) % count);
    if ((await hold(port)) && !(await isTaken(port))) return port;
  }
  throw new Error(`no port from ${lowestPort} to ${highestPort} is free`);
}

export function isTaken(port: number): Promise<boolean> {
  return new Promise((settle, fail) => {
    const listener = createServer();
    listener.on("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? settle(true) : fail(error)));
    listener.listen(port, "127.0.0.1", () => listener.close(() => settle(false)));
  });
}

/** Keeps others who look here off it while this process lives: its UDP port, which nobody here has another use for, is taken. */
function hold(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = createSocket("udp4");
    socket.on("error", () => settle(false));
    socket.bind({ address: "127.0.0.1", port, exclusive: true }, () => {
      socket.unref();
      settle(true);
    });
  });
}
