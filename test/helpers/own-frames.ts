/**
 * Loaded before every test file, so that a failed assertion names the line of the test.
 *
 * TAP has room for one line of a stack, and AVA's own frames stand before the test's: they are left out where AVA records a stack.
 */
const capture = Error.captureStackTrace.bind(Error);

Error.captureStackTrace = (target: { stack?: string }, constructorOpt?: NewableFunction): void => {
  capture(target, constructorOpt);
  const lines = (target.stack ?? "").split("\n").filter((line) => !line.includes("/node_modules/ava/"));
  Object.defineProperty(target, "stack", { value: lines.join("\n"), configurable: true, writable: true });
};
