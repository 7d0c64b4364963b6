/** A TCP port on loopback that stays free for what the test starts, also again. Where a program can choose its own port, let it. */
export { freePort } from "../../deploy/ports.ts";
