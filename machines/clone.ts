/**
 * A copy of something that lives: the same state, and on its own from there on. What always holds: an instance of a class is
 * copied, once however often it is met, so that what held on to each other does so in the copy; so are arrays, maps and
 * sets; a plain object is a value, which nobody changes, and is shared, as bytes and functions are. What keeps a log or
 * a table in a form of its own copies itself, with a `clone` of its own; all else keeps its fields where they can be seen
 * (`private`, not `#`).
 */
interface SelfCopying {
  clone(): object;
}

type Fields = Record<string, unknown>;

export function cloneOf<Whole extends object>(whole: Whole): Whole {
  return copyOf(whole, new Map()) as Whole;
}

function copyOf(value: unknown, known: Map<object, object>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || ArrayBuffer.isView(value)) return value;
  return known.get(value) ?? newCopy(value, prototype, known);
}

function newCopy(value: object, prototype: object, known: Map<object, object>): object {
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    known.set(value, copy);
    for (const each of value) copy.push(copyOf(each, known));
    return copy;
  }
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    known.set(value, copy);
    for (const [key, each] of value) copy.set(key, copyOf(each, known));
    return copy;
  }
  if (value instanceof Set) {
    const copy = new Set(value);
    known.set(value, copy);
    return copy;
  }
  if ("clone" in prototype) {
    const copy = (value as SelfCopying).clone();
    known.set(value, copy);
    return copy;
  }
  return copyOfInstance(value as Fields, prototype, known);
}

function copyOfInstance(value: Fields, prototype: object, known: Map<object, object>): Fields {
  const copy: Fields = Object.create(prototype);
  known.set(value, copy);
  for (const name in value) {
    const field = value[name];
    copy[name] = typeof field === "object" && field !== null ? copyOf(field, known) : field;
  }
  return copy;
}
