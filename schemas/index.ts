/**
 * `twinlog/schemas`: the messages of a service, for clients, integrators and operators who do without the library, and
 * the settings of a server. What servers say to each other is not among them: that is theirs to change.
 */
export { AnnouncedSchema, ApplicationSchemas, JsonSchema, maxSchemaBytes } from "./announced.ts";
export {
  Envelope,
  headers,
  maxNameLength,
  QueryEnvelope,
  ReadySignal,
  ReplayRequest,
  Reply,
  ReplyError,
  StampRange,
} from "./envelope.ts";
export { type ErrorCode, errorCodes } from "./errors.ts";
export { maxPiecedBytes, type PieceName, parsePiece, pieceHeaders } from "./pieces.ts";
export { maxReplayResults, ReplayEnd, ReplayErrorCode, replayHeaders } from "./replay.ts";
export { Limits, Settings } from "./settings.ts";
export {
  ControlReply,
  ControlRequest,
  type ControlVerb,
  controlVerbs,
  RecentEvents,
  ServerEvent,
  ServerStatus,
  type ServiceStatus,
} from "./status.ts";
export { decodeToken, encodeToken, maxTokenBytes, parseClientSubject, subjects } from "./subjects.ts";
export { readTraceparent, traceparentHeader } from "./traceparent.ts";
export { costOf, Trouble, type TroubleCode, type TroubleCost, troubleKinds } from "./troubles.ts";
