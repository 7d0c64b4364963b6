/**
 * Going hot: from the role to the first request and the word `ready` (PROTOCOL.md, takeover; claims 34, 36; rule 16). What
 * always holds: the inherited tail is applied before a request is taken; `ready` is said once in each time of being hot,
 * and only when all that was inherited is committed (rule 5); results of an earlier history are never this one's.
 */
import { recordKinds } from "../codec/record.ts";
import type { Applied } from "./applied.ts";
import type { Commitment } from "./commitment.ts";
import type { Intake, IntakeView } from "./intake.ts";
import { resumable } from "./request-records.ts";
import type { ReplicaView } from "./view.ts";

export interface ServingView extends ReplicaView, IntakeView {
  readonly applied: Applied;
  readonly commitment: Commitment;
  readonly intake: Intake;
  readonly wallMs: number;
}

export class Serving {
  /** End of what this server inherited when it went hot. */
  inherited = 0;
  hotSinceMs = 0;
  #isReady = false;

  clone(): Serving {
    const copy = new Serving();
    copy.inherited = this.inherited;
    copy.hotSinceMs = this.hotSinceMs;
    copy.#isReady = this.#isReady;
    return copy;
  }
  /** What decides how this goes on and is not told otherwise, as values. */
  get facts() {
    return { isReady: this.#isReady };
  }

  onHot({ own, nowMs }: ServingView): void {
    this.hotSinceMs = nowMs;
    this.#isReady = false;
    this.inherited = own.log.last;
  }

  /** The application's state is whole: apply the tail, take requests, resume what was begun. */
  begin(view: ServingView): void {
    const { own, applied, membership, out } = view;
    const history = membership.record?.history ?? own.told;
    const batches = applied.observe(own.log.last, own, view.rules);
    const goesOn = own.told !== history && own.log.last > 0;
    const isNewHistory = goesOn || own.lacksItsStart;
    own.adopt(history, goesOn ? own.ancestorsOfNext(applied.requests, view.rules) : own.ancestors, out);
    out.push({ type: "apply", through: own.log.last, batches });
    view.commitment.results = isNewHistory ? 0 : applied.requests.resultNumber;
    if (isNewHistory) appendHistory(view);
    // Results of an earlier history are never published, or published again, as this one's.
    own.onPublished(own.startOf(applied.requests));
    out.push({ type: "hot", epoch: membership.epoch, publishAfter: view.rules.publishFrom(own.published) - 1 });
    resume(view);
  }

  announce(view: ServingView): void {
    const { own, membership, options } = view;
    if (this.#isReady || !view.hot || !view.applied.isLoaded) return;
    if (!view.rules.mayAnnounce(own.committed, this.inherited) || !membership.isEpochSaved) return;
    this.#isReady = true;
    view.out.push({
      type: "ready",
      signal: {
        signal: "ready",
        service: options.service,
        server: options.self.server,
        incarnation: view.self,
        epoch: membership.epoch,
        history: own.history,
        sequence: own.committed,
      },
    });
  }
}

function resume(view: ServingView): void {
  // A list of its own: what is resumed changes the table.
  const all = Array.from(view.applied.requests.begun.values());
  for (const begun of all) {
    if (begun.completed.length === 0) continue;
    const request = resumable(begun, view.rules.completed(begun.completed));
    view.intake.begin(request, begun.attempts, true, view);
  }
}

/** The record with which a new history begins: results are counted anew from here. */
function appendHistory({ own, applied, membership, wallMs }: ServingView): void {
  const start = own.log.append({
    kind: recordKinds.history,
    ordinal: 0,
    epoch: membership.epoch,
    sequence: own.log.last + 1,
    resultNumber: 0,
    stampMs: wallMs,
    forgottenThrough: 0,
    bodyHash: 0,
    client: "",
    id: "",
    key: "",
    name: own.history,
    effects: new Uint8Array(0),
    reply: "",
    body: "",
  });
  applied.requests.observeOwn(own.log.arena, start, null);
}
