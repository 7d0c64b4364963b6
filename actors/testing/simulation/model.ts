/** An author's model as the checker asks for one: fed with the committed log, record by record. */
import type { SequentialModel } from "../../../machines/checker/history.ts";
import { timerOf } from "../../../schemas/timers.ts";
import type { Application } from "../../application/define.ts";
import type { Model } from "./types.ts";

export function modelOf(application: Application, model: Model<unknown, unknown> | undefined): SequentialModel {
  return {
    run: ({ kind, client, id, name, takenMs = 0 }, sent) => {
      if (model === undefined || (kind !== "final" && kind !== "transaction")) return undefined;
      const asked = { client, id, nowMs: takenMs };
      const timer = timerOf(client, id);
      if (timer !== null) return kind === "final" ? model.timer?.(timer.id, asked) : undefined;
      // As the handler got it, with its defaults.
      const { success, data } = application.request.safeParse(sent);
      if (!success) return undefined;
      if (kind === "final") return model.request(data, asked);
      model.transaction?.(name, data, asked);
      return undefined;
    },
    query: (body) => model?.query?.(body),
  };
}
