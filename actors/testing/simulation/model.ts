/** An author's model as the checker asks for one: fed with the committed log, record by record. */
import type { SequentialModel } from "../../../machines/checker/history.ts";
import type { Application } from "../../application/define.ts";
import type { Model } from "./types.ts";

export function modelOf(application: Application, model: Model<unknown, unknown> | undefined): SequentialModel {
  return {
    run: ({ kind, client, id, name }, sent) => {
      if (model === undefined || (kind !== "final" && kind !== "transaction")) return undefined;
      // As the handler got it, with its defaults.
      const { success, data } = application.request.safeParse(sent);
      if (!success) return undefined;
      if (kind === "final") return model.request(data, { client, id });
      model.transaction?.(name, data, { client, id });
      return undefined;
    },
    query: (body) => model?.query?.(body),
  };
}
