/** What signals and a reader that went away mean to each command. */
import test from "ava";
import { SignalDesk, sameSignalMs } from "../../deploy/signals.ts";

/** What happens to a command, in order, as words. */
class Told {
  nowMs = 1_000;
  readonly story: string[] = [];
  readonly desk: SignalDesk;

  constructor(command?: string) {
    this.desk = new SignalDesk({
      nowMs: () => this.nowMs,
      tell: (line) => this.story.push(line),
      exit: (status) => this.story.push(`exit ${status}`),
    });
    this.desk.reopenLog = () => this.story.push("log re-opened");
    this.desk.whatForceCosts = () => "much";
    this.desk.stopped.addEventListener("abort", () => this.story.push("stops"));
    this.desk.forced.addEventListener("abort", () => this.story.push("forced"));
    if (command !== undefined) this.desk.begin(command);
  }

  later(): this {
    this.nowMs += sameSignalMs;
    return this;
  }
  signal(...signals: ("SIGINT" | "SIGTERM" | "SIGHUP")[]): this {
    for (const signal of signals) this.desk.onSignal(signal);
    return this;
  }
}

for (const command of ["server", "up"])
  test(`${command}: the first signal stops it, the second says what a third costs, the third ends it at once`, (t) => {
    const told = new Told(command).signal("SIGTERM").later().signal("SIGINT").later();
    t.deepEqual(told.story, ["stops", "it is stopping; once more ends it at once: much"]);
    told.signal("SIGTERM");
    t.deepEqual(told.story.slice(2), ["forced", "exit 143"]);
  });

test("signals close together are one: npm hands on a Ctrl-C that the terminal has sent already", (t) => {
  const told = new Told("up").signal("SIGINT", "SIGINT");
  told.nowMs += sameSignalMs - 1;
  told.signal("SIGTERM");
  t.deepEqual(told.story, ["stops"]);
  told.later().signal("SIGINT", "SIGINT");
  t.is(told.story.length, 2, "two more are the second");
});

test("SIGHUP re-opens the log of a server, as often as it comes, and is never taken for a stop", (t) => {
  const told = new Told("server").signal("SIGHUP").later().signal("SIGHUP").later().signal("SIGTERM").signal("SIGHUP");
  t.deepEqual(told.story, ["log re-opened", "log re-opened", "stops", "log re-opened"]);
});

test("SIGHUP stops an `up` whose terminal is gone, and hurries nothing", (t) => {
  const told = new Told("up").signal("SIGHUP").later().signal("SIGHUP").later().signal("SIGHUP");
  t.deepEqual(told.story, ["stops"]);
  told.later().signal("SIGTERM");
  t.regex(told.story[1] ?? "", /once more/, "a signal after it is the second");
});

test("a command that gathers or sends is stopped by the first signal and ended by the second", (t) => {
  const told = new Told("status").signal("SIGINT").later().signal("SIGINT");
  t.deepEqual(told.story, ["stops", "forced", "exit 130"]);
});

test("one that waits for an answer is ended by the first", (t) => {
  t.deepEqual(new Told("switch").signal("SIGINT").story, ["forced", "exit 130"]);
  t.deepEqual(new Told("recover").signal("SIGHUP").story, ["forced", "exit 129"]);
});

test("without a reader, what only prints ends, what works stops, and a server or an `up` goes on", (t) => {
  const gone = (command: string) => {
    const told = new Told(command);
    told.desk.onReaderGone();
    return [told.desk.endsWithoutReader, told.story];
  };
  t.deepEqual(gone("results"), [true, ["stops"]]);
  t.deepEqual(gone("drill"), [false, ["stops"]]);
  t.deepEqual(gone("up"), [false, []]);
  t.deepEqual(gone("server"), [false, []]);
});
