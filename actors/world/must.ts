/**
 * An assertion for what browsers run too, where there is no `node:assert`. What always holds: what it throws is an error of programming, which
 * nobody catches, and is called as Node's.
 */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new AssertionError(what);
}

class AssertionError extends Error {
  override readonly name = "AssertionError";
}
