/**
 * The ranges of what servers, the registry and disks say, each with its name: whoever reads them from outside the process
 * holds them against these once, where the bytes are parsed. What always holds: what this program writes lies in them.
 */
import { z } from "zod";

/** A record has its epoch as a u32 (machines/codec/record.ts). */
export const maxEpoch = 0xffff_ffff;
/** The log's hash is a CRC-32. */
export const maxHash = 0xffff_ffff;
/** Sequences, and whatever is counted: whole numbers that a double holds exactly, as a record has them. */
export const maxCount = Number.MAX_SAFE_INTEGER;
/** The last moment that a date can have, ms since 1970. */
export const maxWallMs = 8.64e15;
/** Of incarnations, sessions, histories, disks, write ids and digests, in UTF-16 units: all are at most some 40. */
export const maxIdLength = 128;
/** Of a state's name, in UTF-16 units. */
export const maxStateLength = 64;

export const Epoch = z.int().min(0).max(maxEpoch);
/** 0: before the first record. */
export const Sequence = z.int().min(0).max(maxCount);
export const Count = z.int().min(0).max(maxCount);
export const Hash = z.int().min(0).max(maxHash);
export const WallMs = z.number().min(0).max(maxWallMs);
/** A name that was given once: of an incarnation, a session, a write. */
export const Id = z.string().min(1).max(maxIdLength);
/** The same, empty where there is none. */
export const IdOrNone = z.string().max(maxIdLength);
