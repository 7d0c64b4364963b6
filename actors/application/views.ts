/**
 * The views of one state: made of all that is there, and then told of each effect. What always holds: whoever is told of an effect was
 * told before of everything that was there; making them goes through the state in slices, and changes nothing of it.
 */
import type { View } from "./contract.ts";
import type { Application } from "./define.ts";
import type { Queue, Table } from "./parts.ts";
import { type Sliced, sliceRows } from "./slices.ts";

type Listeners = { readonly [N in keyof View]-?: readonly (View & Required<Pick<View, N>>)[] };

export class Views {
  readonly all: Readonly<Record<string, View>>;
  /** Those that want to hear of it. */
  readonly listeners: Listeners;

  private constructor(all: Readonly<Record<string, View>>, heard: readonly View[]) {
    const listening = <N extends keyof View>(name: N) =>
      heard.filter((view) => view[name] !== undefined) as readonly View[] as Listeners[N];
    this.all = all;
    this.listeners = {
      put: listening("put"),
      delete: listening("delete"),
      push: listening("push"),
      shift: listening("shift"),
    };
  }

  /** Of a state that is empty, and of which they are told as it fills. */
  static empty(application: Application): Views {
    const all = madeBy(application);
    return new Views(all, Object.values(all));
  }

  /** They are there, and are told of nothing: the state is not made as this program has it. */
  static deaf(application: Application): Views {
    return new Views(madeBy(application), []);
  }

  /** Of all that is in these, as if it had just been made. Throws what a view throws. */
  static *of(application: Application, parts: Iterable<Table | Queue>): Sliced<Views> {
    const views = Views.empty(application);
    const { put, push } = views.listeners;
    for (const part of parts) {
      let told = 0;
      if (part.kind === "table" && put.length > 0) {
        for (const [key, value] of part.rows) {
          for (const view of put) view.put(part.name, key, value, undefined);
          told += 1;
          if (told % sliceRows === 0) yield;
        }
      } else if (part.kind === "queue" && push.length > 0) {
        for (; told < part.length; ) {
          const item = part.at(told);
          for (const view of push) view.push(part.name, item);
          told += 1;
          if (told % sliceRows === 0) yield;
        }
      }
    }
    return views;
  }
}

function madeBy({ views }: Application): Readonly<Record<string, View>> {
  return Object.fromEntries(Object.entries(views).map(([name, make]) => [name, make()] as const));
}
