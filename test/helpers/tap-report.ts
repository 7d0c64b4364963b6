/**
 * Reads AVA's TAP line by line: what to print for each line, and the counts.
 *
 * A line is never swallowed unless it is TAP's own bookkeeping. A run that breaks outside a test (a file that cannot be loaded,
 * an uncaught exception) counts as failed even though no test did. A test that says in its log that it was NOT RUN, and why,
 * did not pass: it is named at the end with its reason. A failed test is named there with the first lines of what was wrong: whoever has
 * only the end of a long run's output knows what to look for.
 */
const bookkeeping = /^(TAP version \d+|1\.\.\d+|# (tests|pass|fail|skip|todo) \d+|# \S.* › .*|\s*)$/;

/** Of one failed test at the end, in lines and characters. */
const mostWords = 16;
const longestLine = 300;

export class TapReport {
  passed = 0;
  failed = 0;
  readonly #failures: { readonly title: string; readonly words: string[] }[] = [];
  /** In the block under a failed test, from `---` to `...`. */
  #isInBlock = false;
  readonly #notRun: string[] = [];
  #lastPassed = "";

  /** What to print for one line of TAP, or undefined for nothing. */
  read(line: string): string | undefined {
    const point = /^(not )?ok \d+ - (.*)$/.exec(line);
    const title = point?.[2];
    if (title !== undefined) {
      return this.#count(title, point?.[1] === undefined);
    }
    this.#readBlock(line);
    const why = /^# {3}NOT RUN: (.*)$/.exec(line)?.[1];
    if (why !== undefined && this.#lastPassed !== "") {
      this.passed -= 1;
      this.#notRun.push(`${this.#lastPassed}: ${why}`);
      this.#lastPassed = "";
    }
    // A line that a test has logged stands indented behind a hash.
    return bookkeeping.test(line) ? undefined : line.replace(/^# {3}/, "    ");
  }

  /** Keeps what AVA says of a failed test, for the end: its first lines, and where it failed. */
  #readBlock(line: string): void {
    const failure = this.#failures.at(-1);
    if (!this.#isInBlock || failure === undefined) return;
    if (/^ {2}\.\.\.$/.test(line)) this.#isInBlock = false;
    else if (/^ {4}at: /.test(line) || (/^ {4}/.test(line) && failure.words.length < mostWords))
      failure.words.push(line.slice(0, longestLine));
  }

  #count(title: string, isPass: boolean): string {
    this.#isInBlock = false;
    if (/ # (SKIP|[T]ODO)$/i.test(title)) {
      return `  - ${title}`;
    }
    this.#lastPassed = isPass ? title : "";
    if (isPass) {
      this.passed += 1;
      return `  ✔ ${title}`;
    }
    this.failed += 1;
    this.#failures.push({ title, words: [] });
    this.#isInBlock = true;
    return `  ✘ ${title}`;
  }

  /** The last words of a run whose runner ended with `status`: what was not run, the failures, and `N passed, N failed`. */
  ending(status: number): string {
    if (status !== 0 && this.failed === 0) {
      this.failed = 1;
      this.#failures.push({ title: `the test runner itself ended with status ${status}: see above`, words: [] });
    }
    const names = this.#failures.flatMap(({ title, words }) => [`  ✘ ${title}`, ...words]);
    const notRun = this.#notRun.length === 0 ? [] : ["", "Not run here:", ...this.#notRun.map((one) => `  - ${one}`)];
    const recap = names.length === 0 ? [] : ["", "Failed:", ...names];
    return [...notRun, ...recap, "", `${this.passed} passed, ${this.failed} failed`].join("\n");
  }
}
