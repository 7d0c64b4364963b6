/** What a rehearsal runs in place of the author's application: a handler that does with a transaction what handlers do. */
import { z } from "zod";
import { defineApplication } from "../../application/define.ts";

const row = z.strictObject({ n: z.int() });

export const rehearsed = defineApplication({
  name: "rehearsed",
  request: row,
  result: z.null(),
  key: () => "",
  tables: { rows: row },
  handle: (body, { transaction }) =>
    transaction("write", (tx) => {
      tx.delete("rows", "old");
      if (tx.get("rows", "new") === undefined) tx.put("rows", "new", body);
      return null;
    }),
});
