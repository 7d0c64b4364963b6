/**
 * The main link: one TCP (or TLS) connection for each pair of servers, over which frames go both ways.
 * What always holds:
 * 1. Of a pair, the server whose name sorts first dials, and dials again for as long as the link is started.
 * 2. The first frames say who speaks, for which service and in which version, and prove it where the servers share keys
 *    (handshake.ts); nothing is delivered from, or sent to, a connection before that was checked.
 * 3. A peer has one connection at a time: a newer one replaces the older one, as down and then up, unless it is another process
 *    of that name while the first one speaks: two that claim one name do not take each other's place.
 * 4. A damaged frame ends its connection and is never delivered; what one connection did not deliver, no later one does.
 * 5. Who has not greeted has little time, and few places: strangers take nobody's (ungreeted.ts).
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type SecureContextOptions, TLSSocket } from "node:tls";
import { Backoff } from "./backoff.ts";
import { byteLengthOf, encodeFrame, FrameError, FrameReader } from "./frames.ts";
import { type Greeting, maxGreetingBytes } from "./greeting.ts";
import { Handshake, type Refusal } from "./handshake.ts";
import { LinkError } from "./link-error.ts";
import type { PeerProof } from "./peer-proof.ts";
import type { Clock, Link, LinkDownReason, LinkHandlers, Log, Timer } from "./ports.ts";
import { QuietLog } from "./quiet-log.ts";
import { certificateNames, readTlsFiles, refusePlaintextBeyondLoopback, type TlsFiles } from "./tcp-security.ts";
import { Ungreeted } from "./ungreeted.ts";

export interface TcpAddress {
  readonly name: string;
  readonly host: string;
  /** 0 for this server's own: the system chooses (see `port()`). */
  readonly port: number;
}

export interface TcpLinkOptions {
  readonly service: string;
  readonly server: string;
  /** All servers of the service, this one included. */
  readonly servers: readonly TcpAddress[];
  /** A random id of this process. */
  readonly processId?: string;
  readonly tls?: TlsFiles | undefined;
  readonly allowPlaintext: boolean;
  /** Absent: the servers share no key. */
  readonly proof?: PeerProof | undefined;
  readonly maxFrameBytes: number;
  /** Past this many bytes that wait for a peer, `send` returns false. */
  readonly maxBufferedBytes: number;
  /** A process that was heard within this time has its name to itself. */
  readonly speaksWithinMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

const defaultSpeaksWithinMs = 500;
const redialMinMs = 20;
const redialMaxMs = 500;
/** How long a dial or an acceptance, the handshake of TLS and the greeting may take together. */
const greetWithinMs = 2_000;
/** How long `stop` lets what is buffered leave. */
const lingerMs = 200;

interface Peer {
  readonly address: TcpAddress;
  readonly dials: boolean;
  /** The one greeted connection. */
  socket: Socket | null;
  /** What was last told. */
  told: "up" | LinkDownReason | null;
  /** What its last greeting said. */
  processId: string | null;
  maxFrameBytes: number;
  /** When something came over its connection last. */
  heardMs: number;
  readonly backoff: Backoff;
}

const tooLate: Refusal = { kind: "silent", says: "no greeting in time" };

export class TcpLink implements Link {
  readonly kind = "main";
  readonly isProven: boolean;
  readonly #options: TcpLinkOptions;
  readonly #own: TcpAddress;
  readonly #peers = new Map<string, Peer>();
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<Timer>();
  readonly #ungreeted: Ungreeted;
  #secure: SecureContextOptions | null = null;
  #server: Server | null = null;
  #handlers: LinkHandlers | null = null;
  readonly #quiet: QuietLog;

  constructor(options: TcpLinkOptions) {
    this.#options = options;
    this.isProven = options.tls !== undefined || options.proof?.isRequired === true;
    this.#quiet = new QuietLog(options.clock, options.log);
    const own = options.servers.find(({ name }) => name === options.server);
    if (own === undefined) throw new LinkError("BAD_ADDRESS", `${options.server} is not among the configured servers`);
    this.#own = own;
    this.#ungreeted = new Ungreeted({
      peers: options.servers.length - 1,
      withinMs: greetWithinMs,
      after: (delayMs, run) => this.#after(delayMs, run),
      onLate: (socket) => this.#refuse(socket, null, tooLate),
    });
    for (const address of options.servers) {
      if (address === own) continue;
      const dials = own.name < address.name;
      this.#peers.set(address.name, {
        address,
        dials,
        socket: null,
        told: null,
        processId: null,
        maxFrameBytes: options.maxFrameBytes,
        heardMs: 0,
        backoff: new Backoff(options.clock, redialMinMs, redialMaxMs),
      });
    }
  }

  /** Resolves when the own address is listened on; throws LinkError. */
  async start(handlers: LinkHandlers): Promise<void> {
    const { tls, allowPlaintext, servers } = this.#options;
    if (tls !== undefined) this.#secure = readTlsFiles(tls);
    else if (!allowPlaintext) refusePlaintextBeyondLoopback(servers);
    this.#handlers = handlers;
    await this.#listen();
    for (const peer of this.#peers.values()) if (peer.dials) this.#dial(peer);
  }

  /** The port that is listened on. */
  port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : this.#own.port;
  }

  send(peer: string, parts: readonly Uint8Array[]): boolean {
    const to = this.#peers.get(peer);
    const socket = to?.socket ?? null;
    if (to === undefined || socket === null || !socket.writable) return false;
    const bytes = byteLengthOf(parts);
    if (bytes > to.maxFrameBytes || socket.writableLength + bytes > this.#options.maxBufferedBytes) return false;
    // One copy, so one write to the kernel and nothing of the caller's is kept: cheaper than a list of small pieces.
    socket.write(encodeFrame(parts, bytes));
    return true;
  }

  /**
   * A crash notifier says that this process of the peer is dead: its connection is closed, before its kernel does so. False: that is not
   * the one that we last spoke with, and nothing is done.
   */
  onDeath(name: string, processId: string): boolean {
    const peer = this.#peers.get(name);
    if (peer === undefined || peer.processId !== processId) return false;
    peer.socket?.destroy();
    return true;
  }

  bufferedBytes(peer: string): number {
    return this.#peers.get(peer)?.socket?.writableLength ?? 0;
  }

  /** What both sides take: the peer may run with other settings. */
  maxFrameBytes(peer: string): number {
    return this.#peers.get(peer)?.maxFrameBytes ?? this.#options.maxFrameBytes;
  }

  async stop(): Promise<void> {
    this.#handlers = null;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    const server = this.#server;
    this.#server = null;
    const closed: Promise<void>[] = [];
    if (server !== null) closed.push(new Promise((resolve) => server.close(() => resolve())));
    for (const socket of this.#sockets) {
      closed.push(new Promise((resolve) => socket.once("close", () => resolve())));
      socket.end(() => socket.destroy());
    }
    this.#ungreeted.closeAll();
    const linger = this.#options.clock.after(lingerMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await Promise.all(closed);
    linger.cancel();
    for (const peer of this.#peers.values()) {
      peer.socket = null;
      peer.told = null;
    }
  }

  #listen(): Promise<void> {
    const welcome = this.#welcome();
    const server = createServer({ noDelay: true }, (socket) => {
      // TLS tells of its errors by its own socket.
      socket.on("error", () => undefined);
      const admitted = this.#ungreeted.admit(socket);
      if (admitted?.isCrowded === true) this.#tellCrowd(socket.remoteAddress);
      if (admitted === null) socket.destroy();
      else welcome(socket);
    });
    // Strangers may not use up the file descriptors: a few connections a peer are enough, old and new.
    server.maxConnections = this.#ungreeted.maxInAll + 4 * this.#peers.size;
    server.on("drop", (dropped) => this.#tellCrowd(dropped?.remoteAddress));
    this.#server = server;
    const { host, port } = this.#own;
    return new Promise((resolve, reject) => {
      server.once("error", (cause: NodeJS.ErrnoException) => {
        this.#server = null;
        const taken = cause.code === "EADDRINUSE";
        const message = taken
          ? `${host}:${port} is taken: stop the program that listens there, or change the port of ${this.#own.name}`
          : `cannot listen on ${host}:${port}: ${cause.message}`;
        reject(new LinkError(taken ? "PORT_TAKEN" : "BAD_ADDRESS", message, { cause }));
      });
      server.listen(port, host, () => {
        server.removeAllListeners("error");
        server.on("error", (error) => this.#options.log.warn({ error: error.message }, "main link: listening failed"));
        resolve();
      });
    });
  }

  /** What becomes of an admitted connection: with TLS the handshake comes first. */
  #welcome(): (socket: Socket) => void {
    if (this.#secure === null) return (socket) => this.#greet(socket, null);
    // It listens nowhere; its own limit for handshakes is not needed, since ours began earlier.
    const tls = createTlsServer(
      { ...this.#secure, noDelay: true, requestCert: true, rejectUnauthorized: true },
      (socket) => this.#greet(socket, null),
    );
    tls.on("tlsClientError", (error: Error) =>
      this.#quiet.warn(
        `handshake ${(error as NodeJS.ErrnoException).code ?? ""}`,
        { error: error.message },
        "main link: a connection failed its handshake",
      ),
    );
    return (socket) => void tls.emit("connection", socket);
  }

  #tellCrowd(from: string | undefined): void {
    const { maxInAll, maxOfOneAddress } = this.#ungreeted;
    const message = "main link: too many connections that have not greeted: those that wait longest are closed";
    this.#quiet.warn("crowd", { from, maxInAll, maxOfOneAddress }, message);
  }

  #refuse(socket: Socket, dialled: Peer | null, { kind, says: reason, unproven }: Refusal): void {
    if (unproven !== undefined) this.#handlers?.onUnproven?.(unproven.peer, unproven.why);
    const fields = { peer: dialled?.address.name, from: socket.remoteAddress, reason };
    // Who is refused dials again, and may name another server, or another length, each time.
    this.#quiet.warn(`${fields.peer ?? "stranger"} ${kind}`, fields, "main link: connection refused");
    socket.destroy();
  }

  #after(delayMs: number, run: () => void): Timer {
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        timer.cancel();
        this.#timers.delete(timer);
      },
    };
  }

  #dial(peer: Peer): void {
    const { host, port } = peer.address;
    const socket =
      this.#secure === null
        ? connect({ host, port, noDelay: true })
        : connectTls({
            ...this.#secure,
            host,
            port,
            checkServerIdentity: (_host, certificate) => this.#check(certificate, peer),
          });
    if (socket instanceof TLSSocket) socket.setNoDelay(true);
    this.#greet(socket, peer);
  }

  #check(certificate: Parameters<typeof certificateNames>[0], peer: Peer): Error | undefined {
    return certificateNames(certificate, peer.address.name)
      ? undefined
      : new Error(`the certificate at ${peer.address.host} does not name ${peer.address.name}`);
  }

  /** From a new socket to a greeted connection. `dialled`: whom we wanted; null for an accepted connection. */
  #greet(socket: Socket, dialled: Peer | null): void {
    const { maxFrameBytes } = this.#options;
    if (this.#handlers === null) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    let peer: Peer | null = null;
    const refuse = (refusal: Refusal) => this.#refuse(socket, dialled, refusal);
    const handshake = this.#handshake(socket, dialled);
    const reader = new FrameReader(maxGreetingBytes, (frame) => {
      if (peer !== null) {
        this.#handlers?.onFrame(peer.address.name, frame);
        return;
      }
      const step = handshake.take(frame);
      if (step.outcome === "refused") {
        reader.stop();
        refuse(step.refusal);
        return;
      }
      if (step.answer !== null) socket.write(encodeFrame([step.answer]));
      if (step.outcome === "waits") return;
      peer = this.#peers.get(step.greeting.server) ?? null;
      if (peer === null) return;
      endOfWaiting();
      reader.allow(maxFrameBytes);
      this.#up(peer, socket, step.greeting);
    });
    // Of an accepted connection the time has begun before its handshake.
    const deadline = dialled === null ? null : this.#after(greetWithinMs, () => refuse(tooLate));
    const endOfWaiting = () => {
      if (deadline === null) this.#ungreeted.onGreeted(socket);
      else deadline.cancel();
    };
    let failure: NodeJS.ErrnoException | null = null;
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on(socket instanceof TLSSocket ? "secureConnect" : "connect", () => {
      if (dialled !== null) socket.write(encodeFrame([handshake.greeting(dialled.address.name)]));
    });
    socket.on("data", (chunk) => {
      // A connection that was replaced may still have something to read.
      if (peer !== null && peer.socket !== socket) return;
      if (peer !== null) peer.heardMs = this.#options.clock.nowMs();
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
        reader.stop();
        refuse({ kind: "frame", says: error.message });
      }
    });
    // Nobody reads there any more: waiting for what is buffered would only hide it.
    socket.on("end", () => socket.destroy());
    socket.on("close", () => {
      reader.stop();
      deadline?.cancel();
      this.#sockets.delete(socket);
      if (peer?.socket === socket) this.#down(peer, "closed");
      if (dialled !== null) this.#redial(dialled, failure?.code);
    });
  }

  #handshake(socket: Socket, dialled: Peer | null): Handshake {
    const { service, server, processId, maxFrameBytes, proof } = this.#options;
    return new Handshake({
      own: { service, server, processId, maxFrameBytes },
      dialled: dialled?.address.name ?? null,
      proof,
      recognise: (greeting) => this.#whyNone(greeting, socket, dialled),
    });
  }

  /** Why who greets so is none of ours. */
  #whyNone(greeting: Greeting, socket: Socket, dialled: Peer | null): Refusal | null {
    const { service, server } = this.#options;
    if (greeting.service !== service)
      return { kind: "service", says: `the peer serves ${greeting.service}, not ${service}` };
    if (greeting.to !== server) return { kind: "to", says: `the peer wants ${greeting.to}, and this is ${server}` };
    const peer = this.#peers.get(greeting.server);
    if (peer === undefined) return { kind: "unknown", says: `${greeting.server} is not among the configured servers` };
    if (dialled !== null && peer !== dialled)
      return { kind: "swapped", says: `${greeting.server} answers where ${dialled.address.name} should` };
    if (dialled === null && peer.dials)
      return { kind: "dialled", says: `${greeting.server} dialled, though this server dials it` };
    if (socket instanceof TLSSocket && !certificateNames(socket.getPeerCertificate(), peer.address.name))
      return { kind: "certificate", says: `the certificate does not name ${greeting.server}` };
    if (this.#isTaken(peer, greeting.processId))
      return { kind: "taken", says: `another process named ${greeting.server} is connected, and speaks` };
    return null;
  }

  #isTaken({ socket, processId, heardMs }: Peer, newId: string | undefined): boolean {
    if (socket === null || processId === null || newId === undefined || processId === newId) return false;
    const { clock, speaksWithinMs = defaultSpeaksWithinMs } = this.#options;
    return clock.nowMs() - heardMs < speaksWithinMs;
  }

  #up(peer: Peer, socket: Socket, { processId, maxFrameBytes }: Greeting): void {
    const older = peer.socket;
    if (older !== null) {
      this.#down(peer, "closed");
      older.destroy();
    }
    peer.socket = socket;
    peer.told = "up";
    peer.processId = processId ?? null;
    peer.maxFrameBytes = Math.min(this.#options.maxFrameBytes, maxFrameBytes ?? this.#options.maxFrameBytes);
    peer.heardMs = this.#options.clock.nowMs();
    peer.backoff.onWorks();
    this.#handlers?.onUp(peer.address.name);
  }

  #down(peer: Peer, reason: LinkDownReason): void {
    peer.socket = null;
    if (peer.told === reason) return;
    peer.told = reason;
    this.#handlers?.onDown(peer.address.name, reason);
  }

  #redial(peer: Peer, failure: string | undefined): void {
    if (this.#handlers === null) return;
    if (failure === "ECONNREFUSED") this.#down(peer, "refused");
    this.#after(peer.backoff.next(), () => this.#dial(peer));
  }
}
