/**
 * The registry's record of a service, read once as a server would: whether the service was ever created.
 */

import { openRegistry } from "../../actors/world/real-world.ts";
import type { RegistryRead } from "../../schemas/registry.ts";
import type { Settings } from "../../schemas/settings.ts";

export async function readRegistry(settings: Settings): Promise<RegistryRead> {
  const { registry, close } = await openRegistry(settings);
  try {
    return await registry.read();
  } finally {
    await close();
  }
}
