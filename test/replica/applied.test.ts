/**
 * A backup confirms what it holds and applies it afterwards, a piece in each turn; what it has not applied is bounded, and a new
 * primary has applied everything before anything else (rules 6 and 15; situation 150).
 */
import test from "ava";
import type { Outbox } from "../../machines/replica/outbox.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

/** One record in each turn. */
const slowly = { ...limits, maxUnappliedRecords: 16 };

/** Beta holds all of what alpha made, and hears that it is committed: nothing of it is applied. */
function behind(records: number, given = slowly): Stage {
  const stage = Stage.normal({ replica: { limits: given } });
  for (let n = 1; n <= records; n += 1) stage.ask("alpha", String(n));
  stage.run();
  const beta = stage.replica("beta");
  if (beta.log.last !== records || beta.committed !== 0) throw new Error("beta hears of the commit too soon");
  const mirror = stage.lastSent("alpha", "mirror");
  const { sequence, hash } = inside(stage.replica("alpha")).core.own.position;
  const told = { first: sequence + 1, last: sequence, previousHash: hash, lastHash: hash, committed: sequence };
  beta.onMessage("alpha", "main", { ...mirror, ...told }, new Uint8Array(0), stage.nowMs);
  return stage;
}

/** What the next turns of beta say and apply, until one says nothing more. */
function turns(stage: Stage): string[][] {
  const beta = stage.replica("beta");
  const told: string[][] = [];
  do {
    beta.endTurn(stage.nowMs, stage.wallMs);
    told.push(beta.outbox.splice(0).flatMap(words));
  } while (beta.mustGoOn);
  return told;
}

function words(entry: Outbox): string[] {
  if (entry.type === "apply") return [`applies through ${entry.through}`];
  return entry.type === "send" && entry.message.type === "confirm" ? [`confirms ${entry.message.sequence}`] : [];
}

test("6. a confirm goes first, and what is committed is applied behind it, a piece in each turn", (t) => {
  const told = turns(behind(6));
  t.deepEqual(told.shift(), ["confirms 6", "applies through 1"]);
  t.deepEqual(
    told,
    [2, 3, 4, 5, 6].map((through) => [`applies through ${through}`]),
  );
});

test("6. past the bound what is committed is applied first, and the confirm follows at once", (t) => {
  const told = turns(behind(19));
  t.deepEqual(told.slice(0, 5), [
    ["applies through 1"],
    ["applies through 2"],
    ["applies through 3"],
    ["confirms 19", "applies through 4"],
    ["applies through 5"],
  ]);
  t.is(told.length, 19);
});

test("6. the same by bytes, and a record that is larger than a piece is applied all the same", (t) => {
  const stage = behind(60, { ...limits, maxUnappliedBytes: 4_096 });
  const { bytes } = inside(stage.replica("beta")).core.unapplied;
  t.true(bytes > 4_096, `${bytes} bytes`);
  const told = turns(stage);
  t.deepEqual(told.slice(-2), [["applies through 60"], ["confirms 60"]], "a batch counts until all of it is applied");
  t.is(told.length, 61, "256 bytes hold one");
  const tiny = turns(behind(3, { ...limits, maxUnappliedBytes: 16 }));
  t.deepEqual(tiny, [["applies through 1"], ["applies through 2"], ["applies through 3"], ["confirms 3"]]);
});

test("6. what is told of this server's tables ends where they do, whatever is committed", (t) => {
  const stage = behind(6);
  const beta = stage.replica("beta");
  beta.endTurn(stage.nowMs, stage.wallMs);
  t.deepEqual([beta.committed, beta.flushable], [6, 1]);
});

test("situation 150: the primary dies while its backup has much to apply: all of it is applied before a request is taken", (t) => {
  const stage = behind(40);
  stage.take();
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick();
  const told = stage.take();
  const hot = told.indexOf("beta is hot in epoch 4");
  t.is(told[hot - 1], "beta applies through 40");
  t.is(inside(stage.replica("beta")).core.applied.requests.through, 40);
  stage.do("beta", "7");
  t.deepEqual(stage.replies().slice(-1), ["7: ok at 7 again"], "it is known");
});

test("a backup that exits has applied what is committed, however few turns it had for that", (t) => {
  const stage = behind(60);
  Object.defineProperty(stage.replica("beta"), "mustGoOn", { get: () => false });
  stage.stop("beta");
  stage.tick(3);
  const told = stage.take();
  t.is(told.at(-1), "beta: exit", told.join("\n"));
  t.is(
    told.findLast((line) => line.startsWith("beta applies")),
    "beta applies through 60",
  );
});
