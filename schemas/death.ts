/**
 * What a witness says when the process that it watches is dead: to each other server, on `subjects.deaths`. It is a fact
 * about one life of one process, so a late notice says nothing about the next life. `life`: 22 or fewer of A-Z a-z 0-9 - _.
 */
import { z } from "zod";
import { ServerName } from "./settings.ts";

export const DeathNotice = z.object({ server: ServerName, life: z.string().min(1).max(64) });
export type DeathNotice = z.infer<typeof DeathNotice>;

/** The notice, or null where these bytes are none. */
export function readDeathNotice(data: Uint8Array): DeathNotice | null {
  try {
    const read = DeathNotice.safeParse(JSON.parse(new TextDecoder().decode(data)));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}
