/**
 * What an earlier life asked the registry for may land after the next one began: until the registry has gone on without that life,
 * this one keeps all that its log had, for the registry may come to count on it (rule 7, situation 136).
 */
import test from "ava";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const untilSilent = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 2;

/**
 * gamma is the primary, and lacks record 1, which alpha made and beta has; beta, cut off from it, asked to be alone with it, died,
 * and is back. Its question has not landed, and the registry takes no other.
 */
function backWithQuestionOpen() {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  const beta = stage.server("beta");
  for (const link of ["alpha>gamma", "gamma>beta", "beta>gamma"]) stage.cuts.add(link);
  beta.held.add("compareAndSet");
  stage.do("alpha", "1");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.heldCas("beta");
  stage.isFull = true;
  stage.tick(polls);
  stage.tick(untilSilent);
  const question = stage.heldCas("beta");
  stage.kill("beta");
  beta.held.clear();
  stage.cuts.clear();
  stage.start("beta");
  stage.tick(polls);
  return { stage, question };
}

test("a server that is back keeps what it asked with, though its primary has another log: the question may land (situation 136)", (t) => {
  const { stage, question } = backWithQuestionOpen();
  t.is(question.record.base.sequence, 1);
  t.is(stage.record.primary.incarnation, "gamma.1");
  t.is(stage.replica("beta").state, "following.joining");
  t.is(stage.replica("beta").log.last, 1);
  stage.isFull = false;
  t.is(stage.compareAndSet(question).outcome, "won");
  stage.tick(polls);
  t.is(stage.record.primary.incarnation, "beta.2");
  t.true(stage.replica("beta").hot);
});

test("it follows as soon as the registry has gone on without its earlier life (rule 7)", (t) => {
  const { stage, question } = backWithQuestionOpen();
  stage.isFull = false;
  stage.tick(2 * polls);
  t.is(stage.compareAndSet(question).outcome, "lost");
  t.is(stage.record.primary.incarnation, "gamma.1");
  t.deepEqual(stage.record.inSync.map(({ incarnation }) => incarnation).sort(), ["beta.2", "gamma.1"]);
  t.is(stage.replica("beta").log.last, stage.replica("gamma").log.last);
});
