/** Why a server does not listen for HTTP: the setting `http` that an operator has to change. */
export class HttpError extends Error {
  readonly code: "PORT_TAKEN" | "BAD_ADDRESS";
  constructor(code: HttpError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "HttpError";
    this.code = code;
  }
}
