/** Whoever takes part in the bench: it answers the exchange's requests on a service's subjects, safe in its own way. */

/** What all contestants share: the broker on which clients send, a folder, and the settings file of a server. */
export interface Arena {
  readonly natsUrl: string;
  readonly natsPid: number;
  /** The path of a nats-server. */
  readonly natsBinary: string;
  /** For this contestant's files, removed at the end. */
  readonly folder: string;
  readonly publishesResults: boolean;
}

export interface Running {
  readonly service: string;
  /** Its processes by what they are, beside nats-server and the load. */
  readonly processes: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

export interface Contestant {
  readonly name: string;
  /** What an acknowledgement means there, and by which settings. */
  readonly means: string;
  /** Why it cannot take part on this machine; null: it can. */
  missing(): Promise<string | null>;
  start(arena: Arena): Promise<Running>;
}
