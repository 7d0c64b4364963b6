/**
 * The checkpoint agent refuses. closed: it is not open, or closing. busy: not in this state (a flush or a snapshot is
 * under way). overtaken: the snapshot is not wanted any more. failed: the store is dead and `cause` says why (rule 14).
 */
export class CheckpointError extends Error {
  readonly code: "closed" | "busy" | "overtaken" | "failed";
  constructor(code: CheckpointError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CheckpointError";
    this.code = code;
  }
}
