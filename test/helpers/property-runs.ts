/** How often a property is tried: in an ordinary run for about a second, with `TWINLOG_PROPERTIES` so many times as often. */
import process from "node:process";

export function runs(usual: number): number {
  const times = Number(process.env.TWINLOG_PROPERTIES ?? 1);
  return Number.isFinite(times) && times >= 1 ? Math.round(usual * times) : usual;
}
