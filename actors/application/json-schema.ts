/**
 * Whether what was stored under one schema may be read under another: JSON Schemas as zod writes them. What always holds:
 * words and limits (lengths, ranges, patterns, formats) are no structure, and are left out; which keys a record has, and which
 * places of a tuple are filled, is structure; what is not understood is taken to differ, unless both are the same. Where several
 * objects hold at once (`allOf`: one with a record), what one of them does not name another may let through.
 */

export interface JsonSchema {
  readonly type?: unknown;
  readonly const?: unknown;
  readonly enum?: unknown;
  readonly anyOf?: unknown;
  readonly oneOf?: unknown;
  readonly allOf?: unknown;
  readonly not?: unknown;
  readonly properties?: unknown;
  readonly required?: unknown;
  readonly additionalProperties?: unknown;
  readonly propertyNames?: unknown;
  readonly patternProperties?: unknown;
  readonly items?: unknown;
  readonly prefixItems?: unknown;
  /** Of a tuple: its first places, which are never missing. */
  readonly minItems?: unknown;
  readonly $ref?: unknown;
  readonly $defs?: unknown;
}

/** Keywords that say something about what a value is. All others are words, or limits, which hold for what is written next. */
const structural: ReadonlySet<string> = new Set([
  "type",
  "const",
  "enum",
  "anyOf",
  "oneOf",
  "allOf",
  "not",
  "properties",
  "required",
  "additionalProperties",
  "propertyNames",
  "patternProperties",
  "items",
  "prefixItems",
  "$ref",
  "$defs",
]);

/** Of these the fields are names, not keywords. */
const named: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs"]);

/** The same schema without words and limits, its fields in one order, so that equal structures are equal texts. */
export function structureOf(schema: unknown): JsonSchema {
  return strip(schema) as JsonSchema;
}

function strip(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strip);
  if (typeof schema !== "object" || schema === null) return schema;
  const kept: Record<string, unknown> = {};
  for (const [name, value] of sorted(schema)) {
    if (!structural.has(name) && !(name === "minItems" && "prefixItems" in schema)) continue;
    if (named.has(name)) {
      const fields = sorted(value as object).map(([field, its]) => [field, strip(its)] as const);
      kept[name] = Object.fromEntries(fields);
    } else if (name === "required") kept[name] = [...(value as string[])].sort();
    else if (name === "const" || name === "enum") kept[name] = value;
    else kept[name] = strip(value);
  }
  return kept;
}

function sorted(value: object): [string, unknown][] {
  return Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
}

/** Of a field, where a schema says nothing of names. */
const anyName: JsonSchema = { type: "string" };

/** Null where every value of `stored` is one of `wanted`; else what is in the way, in words. Both as `structureOf` gives them. */
export function whyNotRead(wanted: JsonSchema, stored: JsonSchema): string | null {
  return new Comparison(wanted, stored).compare(wanted, stored, "");
}

class Comparison {
  readonly #wanted: JsonSchema;
  readonly #stored: JsonSchema;
  /** Pairs of recursive schemas that are being compared: within them they are taken to fit. */
  readonly #open = new Set<string>();

  constructor(wanted: JsonSchema, stored: JsonSchema) {
    this.#wanted = wanted;
    this.#stored = stored;
  }

  compare(wantedHere: JsonSchema, storedHere: JsonSchema, path: string): string | null {
    const [wantedText, storedText] = [JSON.stringify(wantedHere), JSON.stringify(storedHere)];
    if (wantedText === storedText && !wantedText.includes('"$ref"')) return null;
    const pair = `${wantedText} ${storedText}`;
    if (this.#open.has(pair)) return null;
    const isRecursive = "$ref" in wantedHere || "$ref" in storedHere;
    const wanted = this.#together(resolve(wantedHere, this.#wanted), this.#wanted, true);
    const stored = this.#together(resolve(storedHere, this.#stored), this.#stored, false);
    if (isRecursive) this.#open.add(pair);
    const why = this.#compareResolved(wanted, stored, path);
    if (isRecursive) this.#open.delete(pair);
    return why;
  }

  /**
   * One object of several that hold at once; what is no such thing, as it is. One that is closed beside an open one may be strict or
   * not, which its schema does not say: of what is wanted it is taken to be strict, of what is stored not.
   */
  #together(schema: JsonSchema, root: JsonSchema, isWanted: boolean): JsonSchema {
    const { allOf, ...rest } = schema;
    if (!Array.isArray(allOf)) return schema;
    const parts = [...(isAnything(rest) ? [] : [rest]), ...(allOf as JsonSchema[])].map((part) =>
      this.#together(resolve(part, root), root, isWanted),
    );
    const isOne = parts.every(({ type, patternProperties }) => type === "object" && patternProperties === undefined);
    return isOne ? { ...togetherOf(parts, isWanted), $defs: schema.$defs } : { allOf: parts };
  }

  #compareResolved(wanted: JsonSchema, stored: JsonSchema, path: string): string | null {
    if (isAnything(wanted) || "not" in stored) return null;
    const cases = alternatives(stored);
    if (cases !== null) return firstOf(cases, (one) => this.compare(wanted, one, path));
    const choices = alternatives(wanted);
    if (choices !== null) {
      const whys = choices.map((choice) => this.compare(choice, stored, path));
      return whys.includes(null) ? null : (whys.find((why) => why !== null && isDeeper(why, path)) ?? isOther(path));
    }
    const parts = wanted.allOf;
    if (Array.isArray(parts)) return firstOf(parts as JsonSchema[], (one) => this.compare(one, stored, path));
    const both = stored.allOf;
    if (Array.isArray(both)) {
      const whys = (both as JsonSchema[]).map((one) => this.compare(wanted, one, path));
      return whys.includes(null) ? null : (whys[0] ?? isOther(path));
    }
    const values = valuesOf(stored);
    if (values !== null) return values.every((value) => takes(wanted, value)) ? null : isOther(path);
    if (valuesOf(wanted) !== null) return isOther(path);
    return this.#compareTypes(wanted, stored, path);
  }

  #compareTypes(wanted: JsonSchema, stored: JsonSchema, path: string): string | null {
    const [type, before] = [wanted.type, stored.type];
    if (type !== before && !(type === "number" && before === "integer")) return isOther(path);
    if (type === "object") return this.#compareObjects(wanted, stored, path);
    if (type === "array") return this.#compareArrays(wanted, stored, path);
    return type === undefined && JSON.stringify(wanted) !== JSON.stringify(stored) ? isOther(path) : null;
  }

  #compareObjects(wanted: JsonSchema, stored: JsonSchema, path: string): string | null {
    const [fields, before] = [fieldsOf(wanted), fieldsOf(stored)];
    const [others, names] = [wanted.additionalProperties, wanted.propertyNames];
    for (const [name, schema] of before) {
      const its = fields.get(name) ?? (isSchema(others) ? others : undefined);
      const at = fieldAt(path, name);
      const isNamed = !isSchema(names) || this.compare(names, { const: name }, at) === null;
      if (!isNamed || (its === undefined && others === false)) return `${at} is gone`;
      const why = its === undefined ? null : this.compare(its, schema, at);
      if (why !== null) return why;
    }
    const always = stored.required as readonly string[] | undefined;
    for (const name of (wanted.required as readonly string[] | undefined) ?? []) {
      if (always?.includes(name) !== true) return `${fieldAt(path, name)} is required, and what is stored may lack it`;
    }
    return this.#comparePatterns(wanted, stored, path) ?? this.#compareOthers(wanted, stored, path);
  }

  #comparePatterns(wanted: JsonSchema, stored: JsonSchema, path: string): string | null {
    const [patterns, before] = [patternsOf(wanted), patternsOf(stored)];
    if (patterns.size !== before.size) return isOther(path);
    return firstOf([...patterns], ([pattern, its]) => {
      const schema = before.get(pattern);
      return schema === undefined ? isOther(path) : this.compare(its, schema, fieldAt(path, pattern));
    });
  }

  /** Fields that the stored schema does not name: any of the wanted may be among them. */
  #compareOthers(wanted: JsonSchema, stored: JsonSchema, path: string): string | null {
    const [others, rest] = [wanted.additionalProperties, stored.additionalProperties];
    if (!isSchema(rest)) return null;
    if (others === false) return isOther(path);
    const before = fieldsOf(stored);
    const unnamed = [...fieldsOf(wanted)].filter(([name]) => !before.has(name));
    const why = firstOf(unnamed, ([name, its]) => this.compare(its, rest, fieldAt(path, name)));
    if (why !== null) return why;
    const [names, namesBefore] = [wanted.propertyNames, stored.propertyNames];
    const namesStored = isSchema(namesBefore) && !isAnything(namesBefore) ? namesBefore : anyName;
    if (isSchema(names) && this.compare(names, namesStored, path) !== null) return isOther(path);
    return isSchema(others) ? this.compare(others, rest, fieldAt(path, "*")) : null;
  }

  #compareArrays(wanted: JsonSchema, stored: JsonSchema, path: string): string | null {
    const [tuple, before] = [wanted.prefixItems, stored.prefixItems];
    if (Array.isArray(tuple) || Array.isArray(before)) {
      if (!Array.isArray(tuple) || !Array.isArray(before) || tuple.length !== before.length) return isOther(path);
      const why = firstOf(tuple as JsonSchema[], (one, at) =>
        this.compare(one, before[at] as JsonSchema, fieldAt(path, String(at))),
      );
      if (why !== null) return why;
      if (filledOf(wanted) > filledOf(stored)) return isOther(path);
    }
    const [items, itemsBefore] = [wanted.items, stored.items];
    if (!isSchema(items)) return items === itemsBefore ? null : items === undefined ? null : isOther(path);
    return isSchema(itemsBefore) ? this.compare(items, itemsBefore, fieldAt(path, "*")) : isOther(path);
  }
}

function togetherOf(parts: readonly JsonSchema[], isWanted: boolean): JsonSchema {
  const open = parts.filter(({ additionalProperties }) => additionalProperties !== false);
  const names = new Set(parts.flatMap((part) => [...fieldsOf(part).keys()]));
  const properties: [string, JsonSchema][] = Array.from(names, (name) => {
    const its = parts.flatMap((part) => fieldsOf(part).get(name) ?? othersOf(part));
    return [name, allOf(its)];
  });
  const isClosed = isWanted ? open.length < parts.length : open.length === 0;
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    required: parts.flatMap(({ required }) => (required as readonly string[] | undefined) ?? []),
    additionalProperties: isClosed ? false : allOf(open.flatMap(othersOf)),
    propertyNames: allOf(parts.flatMap(({ propertyNames }) => (isSchema(propertyNames) ? [propertyNames] : []))),
  };
}

/** Of fields that it does not name; none where it lets none through. */
function othersOf({ additionalProperties }: JsonSchema): JsonSchema[] {
  return isSchema(additionalProperties) ? [additionalProperties] : [];
}

function allOf(schemas: readonly JsonSchema[]): JsonSchema {
  const some = schemas.filter((schema) => !isAnything(schema));
  return some.length > 1 ? { allOf: some } : (some[0] ?? {});
}

function resolve(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const ref = schema.$ref;
  if (typeof ref !== "string") return schema;
  if (ref === "#") return root;
  const name = ref.replace(/^#\/\$defs\//, "");
  return (root.$defs as Record<string, JsonSchema> | undefined)?.[name] ?? schema;
}

function isAnything(schema: JsonSchema): boolean {
  return Object.keys(schema).every((name) => name === "$defs");
}

function alternatives(schema: JsonSchema): readonly JsonSchema[] | null {
  const { type } = schema;
  if (Array.isArray(type)) return type.map((one: unknown) => ({ ...schema, type: one }));
  const cases = schema.anyOf ?? schema.oneOf;
  return Array.isArray(cases) ? (cases as JsonSchema[]) : null;
}

function valuesOf(schema: JsonSchema): readonly unknown[] | null {
  if ("const" in schema) return [schema.const];
  const values = schema.enum;
  return Array.isArray(values) ? values : null;
}

function takes(schema: JsonSchema, value: unknown): boolean {
  const values = valuesOf(schema);
  if (values !== null) return values.includes(value);
  const type = value === null ? "null" : typeof value;
  return schema.type === type || (schema.type === "integer" && Number.isInteger(value));
}

function fieldsOf({ properties }: JsonSchema): ReadonlyMap<string, JsonSchema> {
  return new Map(Object.entries((properties as Record<string, JsonSchema> | undefined) ?? {}));
}

function patternsOf({ patternProperties }: JsonSchema): ReadonlyMap<string, JsonSchema> {
  return new Map(Object.entries((patternProperties as Record<string, JsonSchema> | undefined) ?? {}));
}

/** Places of a tuple that are never missing. */
function filledOf({ minItems }: JsonSchema): number {
  return typeof minItems === "number" ? minItems : 0;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null;
}

function firstOf<T>(values: readonly T[], ask: (value: T, at: number) => string | null): string | null {
  for (const [at, value] of values.entries()) {
    const why = ask(value, at);
    if (why !== null) return why;
  }
  return null;
}

function fieldAt(path: string, name: string): string {
  return path === "" ? `field ${name}` : `${path}.${name}`;
}

function isOther(path: string): string {
  return path === "" ? "what it holds is of another kind" : `${path} is of another kind`;
}

/** It says more than that the whole differs. */
function isDeeper(why: string, path: string): boolean {
  return why !== isOther(path);
}
