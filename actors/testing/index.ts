/** `twinlog/testing`: an application in its author's tests, on a server in memory, with a time that may be moved forward. */
import type { z } from "zod";
import type { ApplicationDefinition, Queues, Tables, ViewDefinitions } from "../application/contract.ts";
import { openNodeClock } from "../world/clock-node.ts";
import { runEveryCrash } from "./every-crash.ts";
import { type Stored, tryMigration } from "./migrations.ts";
import { runSimulation } from "./simulate.ts";
import type { SimulationOptions, SimulationReport } from "./simulation/types.ts";
import { startTest, type TestApplication, type TestOptions } from "./test-application.ts";

export type { Stored } from "./migrations.ts";
export {
  type Asked,
  type Model,
  type Random,
  type SimulatedFault,
  SimulationFailed,
  type SimulationOptions,
  type SimulationReport,
} from "./simulation/types.ts";
export type { TestApplication, TestOptions, TestQueryOptions, TestRequestOptions } from "./test-application.ts";

/** The application on a server in memory: ready at once, gone with `close()`, or with the test's process. */
export function testApplication<
  Req extends z.ZodType,
  Res extends z.ZodType,
  T extends Tables,
  Q extends Queues,
  V extends ViewDefinitions,
>(
  application: ApplicationDefinition<Req, Res, T, Q, V>,
  options?: TestOptions,
): TestApplication<z.input<Req>, z.output<Res>, T, Q, V> {
  return startTest(openNodeClock(), application, options);
}

/**
 * Runs `scenario` for each place at which a server can die while it goes on, each time with a new application, whose server dies there;
 * and once more without. It makes the same requests each time, and holds what came of them against what must be. Resolves to the
 * number of places; rejects with what the scenario threw, and where the server had died.
 */
export async function atEveryCrash<
  Req extends z.ZodType,
  Res extends z.ZodType,
  T extends Tables,
  Q extends Queues,
  V extends ViewDefinitions,
>(
  application: ApplicationDefinition<Req, Res, T, Q, V>,
  scenario: (app: TestApplication<z.input<Req>, z.output<Res>, T, Q, V>) => void | Promise<void>,
  options?: TestOptions,
): Promise<number> {
  return await runEveryCrash(async (deaths) => {
    const app = startTest(openNodeClock(), application, options, deaths);
    try {
      await scenario(app);
    } finally {
      app.close();
    }
  });
}

/**
 * What the application's migrations make of what an earlier version stored, by the code of a server: all of it at once, and again for each
 * row after which a server could die and another one go on. Throws where a migration fails, what it leaves is refused by a schema, or
 * what comes of it depends on where it was cut.
 */
export function testMigration<
  Req extends z.ZodType,
  Res extends z.ZodType,
  T extends Tables,
  Q extends Queues,
  V extends ViewDefinitions,
>(application: ApplicationDefinition<Req, Res, T, Q, V>, stored: Stored): Required<Omit<Stored, "version">> {
  return tryMigration(application, stored);
}

/**
 * Runs a pair of whole servers with the application in a simulated world, seed after seed: they are killed at any moment, lose power, each
 * other and NATS, while clients ask, ask again and query. What clients were told is held against the log of both servers, and against
 * `model`. Time is simulated: a handler waits for nothing but `committed()` and what settles by itself. Resolves to how much was tried;
 * rejects with SimulationFailed, whose message is the story of the first seed that fails, made small.
 */
export async function simulate<
  Req extends z.ZodType,
  Res extends z.ZodType,
  T extends Tables,
  Q extends Queues,
  V extends ViewDefinitions,
>(
  application: ApplicationDefinition<Req, Res, T, Q, V>,
  options: SimulationOptions<z.input<Req>, z.output<Req>, z.output<Res>>,
): Promise<SimulationReport> {
  return await runSimulation(application as unknown as ApplicationDefinition, options);
}
