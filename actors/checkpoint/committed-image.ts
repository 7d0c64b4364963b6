/**
 * A store's image without what may still be taken back: the log stops at the commit point that the image's own meta names.
 * What always holds: tables and queues are passed on as they are, for they never go further (rule 6).
 */
import { metaKey, readMeta, readSegment, segmentValue, spaces } from "../../machines/checkpoint/layout.ts";
import { sliceThrough } from "../../machines/log/batch.ts";
import type { StoreEntry } from "../world/ports.ts";

/** Entries in key order: meta is the first, the log the last. Throws LayoutError. */
export async function* committedOnly(image: AsyncIterable<StoreEntry>): AsyncGenerator<StoreEntry> {
  let committed = 0;
  for await (const entry of image) {
    const [key, value] = entry;
    if (Buffer.compare(key, metaKey) === 0) ({ committed } = readMeta(value));
    if (key[0] !== spaces.segment) {
      yield entry;
      continue;
    }
    const batch = readSegment(key, value);
    if (batch.first > committed) return;
    if (batch.last <= committed) yield entry;
    else {
      const kept = sliceThrough(batch, committed);
      yield [key, segmentValue([kept], kept.bytes.length)];
    }
  }
}
