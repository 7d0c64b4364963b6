/**
 * A server that does everything wrong: it keeps its state in memory alone, acknowledges at once and asks nobody. It is
 * the simulator's own test: with a fault the checker must find it out, without one it must not.
 */
import { crc32 } from "node:zlib";
import type { CommittedRecord } from "../../../machines/checker/history.ts";
import type { Envelope } from "../../../schemas/envelope.ts";
import { subjects } from "../../../schemas/subjects.ts";
import type { StartServer } from "./running-server.ts";
import type { Workload } from "./workloads.ts";

export function startToy(workload: Workload): StartServer {
  return ({ server, servers, incarnation, world, process, recorder }) => {
    const isHot = server === servers[0];
    let sequence = 0;
    let hash = 0;
    const done = new Map<string, { body: string; reply: string }>();
    const model = workload.makeModel();
    const onRequest = (data: Uint8Array, replyTo: string) => {
      const { client, id, body } = JSON.parse(Buffer.from(data).toString()) as Envelope;
      const stored = done.get(`${client} ${id}`);
      if (stored !== undefined && stored.body === JSON.stringify(body)) {
        world.bus.publish(replyTo, Buffer.from(stored.reply), { "Twinlog-Duplicate": "1" });
        return;
      }
      if (stored !== undefined) {
        const error = { code: "ID_REUSED", message: "another body", executed: false };
        world.bus.publish(replyTo, Buffer.from(JSON.stringify({ client, id, ok: false, error })));
        return;
      }
      sequence += 1;
      const draft: CommittedRecord = {
        sequence,
        epoch: 1,
        hash: 0,
        kind: "final",
        client,
        id,
        name: "",
        resultNumber: sequence,
        reply: "",
      };
      const reply = JSON.stringify({ client, id, ok: true, result: model.run(draft, body), sequence, epoch: 1 });
      hash = crc32(reply, hash);
      done.set(`${client} ${id}`, { body: JSON.stringify(body), reply });
      recorder.record({ type: "commit", server, incarnation, history: "toy", records: [{ ...draft, hash, reply }] });
      world.bus.publish(replyTo, Buffer.from(reply));
    };
    const begin = async () => {
      await world.store.open();
      await world.bus.start(() => undefined);
      if (isHot) world.bus.subscribe(subjects.requests("sim"), (message) => onRequest(message.data, message.reply));
    };
    begin().catch((error: unknown) => process.onError(error));
    return { stop: () => Promise.resolve(), ended: new Promise(() => {}) };
  };
}
