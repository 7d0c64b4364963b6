/**
 * Which room may import what: the import table, and that nothing imports in a circle.
 *
 * deploy → actors → machines → schemas. A library is imported by the one place that wraps it, so that it can be replaced there:
 * an adapter in `actors/world/` is named for its library.
 */
import { type Import, resolveImport, type SourceFile } from "./sources.ts";

type Room = {
  name: string;
  holds: (path: string) => boolean;
  /** Whether a file of this room may import that file of the repository. */
  mayImportFile: (target: string, from: string) => boolean;
  mayImportLibrary: (library: string, from: string) => boolean;
  /** Node's own modules, each with the names that may be taken from it ("*": all). */
  builtins: Record<string, readonly string[]> | "all";
};

const pureBuiltins = {
  "node:zlib": ["crc32", "deflateRawSync", "deflateSync", "gunzipSync", "gzipSync", "inflateRawSync", "inflateSync"],
  "node:crypto": ["createHash", "createHmac", "hash", "timingSafeEqual", "Hash"],
} as const;

/** Beyond the pure ones, modules that neither act on the world nor ask it anything. */
const actorBuiltins = {
  ...pureBuiltins,
  "node:assert": ["*"],
  "node:assert/strict": ["*"],
  "node:async_hooks": ["AsyncLocalStorage"],
  "node:buffer": ["Buffer"],
  "node:events": ["EventEmitter"],
  "node:util": ["isDeepStrictEqual"],
} as const;

/** How the adapter files end that may import a library of the world. */
const adaptersOf: Record<string, RegExp> = {
  nats: /-(nats|jetstream|nats-ws)\.ts$/,
  "nats.ws": /-nats-ws\.ts$/,
  level: /-level(-worker)?\.ts$/,
  pino: /-pino\.ts$/,
  "prom-client": /-(prom-client|prometheus)\.ts$/,
};

const isIn =
  (...folders: string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path === folder || path.startsWith(`${folder}/`));
const isOneOf =
  (...libraries: string[]) =>
  (library: string): boolean =>
    libraries.includes(library);

const folderOf = (path: string, depth: number): string => path.split("/").slice(0, depth).join("/");

/** What any room of tests may import beside itself. */
const sharedByTests = isIn("test/helpers", "test/models", "test/conformance");
/** Rooms that look into the simulator: they use its workloads and facts, or hold the documents against it. */
const lookIntoSimulator = isIn("test/faults", "test/replica", "test/tidy");

/** Which rooms of the simulator a room of it may import; its tests may look further. */
const simulatorRooms: Record<string, readonly string[]> = {
  world: [],
  judge: [],
  service: ["judge"],
  faults: ["judge", "service"],
  explore: [],
  mutations: ["service", "explore"],
  run: ["judge", "service", "faults", "explore", "mutations"],
};

function mayImportTest(target: string, from: string): boolean {
  if (sharedByTests(target)) return true;
  if (isIn("test/simulation")(target) && lookIntoSimulator(from)) return true;
  const isOfOneRoom = folderOf(target, 2) === folderOf(from, 2);
  if (!isOfOneRoom || !isIn("test/simulation")(from) || from.endsWith(".test.ts")) return isOfOneRoom;
  const [own = "", other = ""] = [from, target].map((path) => path.split("/")[2]);
  return own === other || (simulatorRooms[own]?.includes(other) ?? false);
}

/** The first room that holds a file is its room, so the narrow ones stand before the wide ones. */
const rooms: Room[] = [
  {
    name: "schemas",
    holds: isIn("schemas"),
    mayImportFile: isIn("schemas"),
    mayImportLibrary: isOneOf("zod"),
    builtins: {},
  },
  {
    name: "machines",
    holds: isIn("machines"),
    mayImportFile: isIn("machines", "schemas"),
    mayImportLibrary: isOneOf("xstate"),
    builtins: pureBuiltins,
  },
  {
    name: "actors/world",
    holds: isIn("actors/world"),
    mayImportFile: isIn("actors/world", "schemas"),
    mayImportLibrary: (library, from) => adaptersOf[library]?.test(from) ?? false,
    builtins: "all",
  },
  {
    name: "actors/testing/world",
    holds: isIn("actors/testing/world"),
    // The simulated adapters: what real ones know of NATS's limits they know too.
    mayImportFile: isIn(
      "actors/testing/world",
      "actors/world/ports.ts",
      "actors/world/message-nats.ts",
      "actors/world/message-size.ts",
      "machines",
      "schemas",
    ),
    mayImportLibrary: () => false,
    builtins: pureBuiltins,
  },
  {
    name: "actors/applications",
    holds: isIn("actors/applications"),
    mayImportFile: (target, from) => isIn("actors/application", folderOf(from, 3))(target),
    mayImportLibrary: isOneOf("zod"),
    builtins: {},
  },
  {
    name: "the package's front doors",
    holds: isIn("actors/index.ts", "actors/connect.ts", "actors/connect-browser.ts", "actors/testing/index.ts"),
    mayImportFile: isIn("actors", "schemas"),
    mayImportLibrary: isOneOf("zod"),
    builtins: {},
  },
  {
    name: "its door for traces",
    holds: isIn("actors/opentelemetry.ts"),
    mayImportFile: isIn("actors", "schemas"),
    mayImportLibrary: isOneOf("@opentelemetry/api"),
    builtins: {},
  },
  {
    name: "actors/threads",
    // Programs that are a thread of their own: they join adapters and machines themselves.
    holds: isIn("actors/threads"),
    mayImportFile: isIn("actors/threads", "actors/world", "actors/checkpoint", "machines", "schemas"),
    mayImportLibrary: () => false,
    builtins: "all",
  },
  {
    name: "actors",
    holds: isIn("actors"),
    mayImportFile: (target) =>
      !isIn("actors/world")(target)
        ? isIn("actors", "machines", "schemas")(target)
        : target === "actors/world/ports.ts",
    mayImportLibrary: (library, from) => library === "zod" && isIn("actors/application", "actors/testing")(from),
    builtins: actorBuiltins,
  },
  {
    name: "deploy",
    holds: isIn("deploy"),
    mayImportFile: isIn("deploy", "actors", "machines", "schemas"),
    // Examples of clients by other libraries share nothing with ours.
    mayImportLibrary: (library, from) => adaptersOf[library] === undefined || isIn("deploy/examples/clients")(from),
    builtins: "all",
  },
  {
    name: "test",
    holds: isIn("test"),
    mayImportFile: (target, from) =>
      isIn("test")(target) ? mayImportTest(target, from) : isIn("deploy", "actors", "machines", "schemas")(target),
    mayImportLibrary: () => true,
    builtins: "all",
  },
];

/** One sentence for each import of a file that the table does not allow. */
export function forbiddenImports(file: SourceFile): string[] {
  const room = rooms.find(({ holds }) => holds(file.path));
  if (room === undefined) {
    return [`${file.path}: is in none of the rooms`];
  }
  return file.imports
    .filter((each) => !isAllowed(room, file.path, each))
    .map((each) => describe(room, file.path, each));
}

function isAllowed(room: Room, from: string, { specifier, names }: Import): boolean {
  if (specifier.startsWith(".")) {
    return room.mayImportFile(resolveImport(from, specifier), from);
  }
  if (!specifier.startsWith("node:")) {
    return room.mayImportLibrary(libraryOf(specifier), from);
  }
  if (room.builtins === "all") {
    return true;
  }
  const allowed = room.builtins[specifier] ?? [];
  return allowed.includes("*") || (names.length > 0 && names.every((name) => allowed.includes(name)));
}

function describe(room: Room, from: string, { specifier, names }: Import): string {
  const what = specifier.startsWith("node:") ? `${names.join(", ")} of ${specifier}` : specifier;
  return `${from}: ${room.name} may not import ${what}`;
}

/** `@scope/name/part` is `@scope/name`. */
function libraryOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

/** One sentence for each circle of imports, told from its first file back to it. */
export function importCycles(files: SourceFile[]): string[] {
  const targets = new Map(files.map((file) => [file.path, localImports(file)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) {
      cycles.push(`imports in a circle: ${[...trail.slice(start), path].join(" → ")}`);
      return;
    }
    if (done.has(path)) {
      return;
    }
    for (const target of targets.get(path) ?? []) {
      visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of targets.keys()) {
    visit(path, []);
  }
  return cycles;
}

function localImports({ path, imports }: SourceFile): string[] {
  return imports
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier }) => resolveImport(path, specifier));
}
