/** A second server in the name of the first, on another port with an empty disk, under load (rule 1, situation 53). */
import test from "ava";
import { Standing } from "../../schemas/standing.ts";
import { ControlReply } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { ServerProcess } from "../helpers/pair/server-process.ts";
import { until } from "../helpers/until.ts";
import { Proof } from "./proof.ts";
import { writeTwin } from "./twin.ts";

const withinMs = 30_000;

test.serial(
  "a second server in the primary's name, with an empty disk, disturbs nobody, refuses, and cannot be recovered",
  async (t) => {
    const pair = await startPair(t);
    const proof = await Proof.begin(t, pair);
    const { primary } = await pair.normal();
    const configFile = await writeTwin(t, pair, primary, "empty");
    const { epoch, pid, incarnation } = await pair.newStatus(primary);
    const twin = new ServerProcess({ name: "twin", configFile, restartMs: null, onEnded: () => undefined });
    t.teardown(() => twin.close());
    const strangers = new Map<string, Standing>();
    const standings = pair.raw.subscribe("_INBOX.standings", {
      callback: (_error, message) => {
        const one = Standing.parse(message.json());
        if (one.incarnation !== incarnation) strangers.set(one.incarnation, one);
      },
    });
    await proof.gap("a second server in the primary's name", async () => {
      twin.start();
      await until(
        () => {
          pair.raw.publish(subjects.actor(pair.service, primary, "failover"), "", { reply: "_INBOX.standings" });
          return [...strangers.values()].some(({ state }) => state === "refusing");
        },
        { withinMs, everyMs: 100, waitedFor: "the twin to refuse" },
      );
    });
    standings.unsubscribe();
    const [stranger] = [...strangers.values()];
    t.is(strangers.size, 1);
    const body = JSON.stringify({ incarnation: stranger?.incarnation, despite: [] });
    const answers: ControlReply[] = [];
    const inbox = pair.raw.subscribe("_INBOX.twins", {
      callback: (_error, message) => answers.push(ControlReply.parse(message.json())),
    });
    pair.raw.publish(subjects.control(pair.service, primary, "recover"), body, { reply: "_INBOX.twins" });
    await until(() => answers.length === 2, { withinMs, waitedFor: "both to answer" });
    inbox.unsubscribe();
    t.true(answers.every(({ ok }) => !ok));
    t.regex(answers.find((one) => one.incarnation === incarnation)?.message ?? "", /was meant/);
    t.regex(
      answers.find((one) => one.incarnation !== incarnation)?.message ?? "",
      /another server named .* speaks, .* serves/,
    );
    t.like(await pair.newStatus(primary), { pid, epoch, mode: "normal", role: "primary" });
    await twin.close();
    await proof.prove();
  },
);
