/**
 * The applications that this program brings along, by name: what `application` in a configuration can name.
 */
import type { ApplicationDefinition } from "../actors/application/contract.ts";
import { exchange } from "../actors/applications/exchange/exchange.ts";
import { ledger } from "../actors/applications/ledger/ledger.ts";

export const applications: ReadonlyMap<string, ApplicationDefinition> = new Map<string, ApplicationDefinition>([
  [exchange.name, exchange],
  [ledger.name, ledger],
]);
