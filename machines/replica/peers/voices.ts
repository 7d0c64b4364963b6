/**
 * Who speaks under one server's name. A restart is one process after another, on one disk; where two are there at once nobody can
 * say which of them the name means, and it counts as present in no decision (rule 1). What always holds: it is a proof, not a
 * guess, that two are there: both were heard lately, and they have different disks, or the one that was heard first answered
 * something that was sent after the other had spoken; of at most `maxVoices` the newest are remembered.
 */
import type { Heartbeat } from "../../../schemas/peer-message.ts";

export interface Voice {
  readonly incarnation: string;
  /** Empty where an older program does not say it. */
  readonly disk: string;
  readonly heardMs: number;
  /** The newest beat of this server when it was first heard, and the newest that it said it has heard. */
  readonly beatAtFirst: number;
  readonly echoed: number;
}

const maxVoices = 4;

/** `echoed`: the newest beat of this server that it heard; `beat`: the newest that was sent. */
export function hearVoice(
  voices: readonly Voice[],
  { incarnation, disk = "" }: Heartbeat,
  echoed: number,
  beat: number,
  nowMs: number,
): readonly Voice[] {
  const known = voices.find((voice) => voice.incarnation === incarnation);
  if (known === undefined)
    return [...voices, { incarnation, disk, heardMs: nowMs, beatAtFirst: beat, echoed }].slice(-maxVoices);
  const heard = { ...known, heardMs: nowMs, echoed: Math.max(known.echoed, echoed) };
  return voices.map((voice) => (voice === known ? heard : voice));
}

/** More than one of them is there now. */
export function isDoubled(voices: readonly Voice[], withinMs: number, nowMs: number): boolean {
  const lately = voices.filter(({ heardMs }) => nowMs - heardMs <= withinMs);
  return lately.some((later, at) =>
    lately.slice(0, at).some((first) => areOfTwoDisks(first, later) || first.echoed > later.beatAtFirst),
  );
}

function areOfTwoDisks(one: Voice, other: Voice): boolean {
  return one.disk !== "" && other.disk !== "" && one.disk !== other.disk;
}
