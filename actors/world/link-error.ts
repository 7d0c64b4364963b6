/**
 * Why a link could not be started: the setting that an operator has to change. Never thrown once a link has started;
 * from then on everything that happens to it is told by its handlers.
 */
export type LinkErrorCode =
  | "PORT_TAKEN"
  | "BAD_ADDRESS"
  | "PLAINTEXT_REFUSED"
  | "TLS_FILES"
  | "KEY_MISSING"
  | "KEY_FILE";

export class LinkError extends Error {
  readonly code: LinkErrorCode;
  constructor(code: LinkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "LinkError";
    this.code = code;
  }
}
