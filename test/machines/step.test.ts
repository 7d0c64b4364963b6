/**
 * Stepping a machine: what is remembered is what XState works out, and names are what operators read.
 */
import test from "ava";
import { type AnyStateMachine, createMachine, type StateValue } from "xstate";
import { stateName, stepsOf } from "../../machines/step.ts";

const lamp: AnyStateMachine = createMachine({
  id: "lamp",
  initial: "off",
  states: { off: { on: { press: "on" } }, on: { entry: "light", exit: "darken", on: { press: "off", dim: {} } } },
});
const { initial, step } = stepsOf<{ value: StateValue }, { type: string }, string>(lamp);

test("a step gives the next state and what to do, the second time too", (t) => {
  for (let time = 0; time < 2; time += 1) {
    const [on, said] = step(initial, { type: "press" });
    t.deepEqual([on.value, said], ["on", ["light"]]);
    const [off, saidThen] = step(on, { type: "press" });
    t.deepEqual([off.value, saidThen], ["off", ["darken"]]);
    t.is(off, initial, "equal states are one object");
  }
});

test("an event that the state does not know changes nothing", (t) => {
  t.deepEqual(step(initial, { type: "dim" }), [initial, []]);
  t.deepEqual(step(initial, { type: "never" }), [initial, []]);
});

test("a machine that has ended takes nothing, not even what its root would", (t) => {
  const fuse = createMachine({
    initial: "whole",
    on: { surge: ".blown" },
    states: { whole: {}, blown: { type: "final", entry: "smoke" } },
  });
  const { initial: whole, step: stepFuse } = stepsOf<{ value: StateValue }, { type: string }, string>(fuse);
  const [blown, said] = stepFuse(whole, { type: "surge" });
  t.deepEqual([blown.value, said], ["blown", ["smoke"]]);
  t.deepEqual(stepFuse(blown, { type: "surge" }), [blown, []]);
});

test("a state's name is its path, and regions stand side by side", (t) => {
  t.is(stateName({ value: "warm" }), "warm");
  t.is(stateName({ value: { hot: { fencing: "syncing" } } }), "hot.fencing.syncing");
  t.is(stateName({ value: { main: "up", peer: { known: "main" } } }), "main.up, peer.known.main");
});
