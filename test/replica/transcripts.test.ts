/**
 * Scripts on the stage and what replicas do in them, one file each in `testdata/`: to be read first by whoever wants to see how the
 * replica works. `script.ts` tells the commands; `npm run rewrite` writes anew what comes of them.
 */
import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import { isAsKept, sourcePath } from "../helpers/kept-text.ts";
import { play } from "./script.ts";

const folder = sourcePath("replica/testdata/");
const files = readdirSync(folder);

for (const file of files) {
  const script = readFileSync(folder + file, "utf8");
  const [title = ""] = script.split("\n");
  test(`${file.replace(".txt", "")}: ${title.replace("# ", "")}`, (t) => {
    isAsKept(t, folder + file, play(script));
  });
}

test("a script whose outcome changed does not come out as it is kept", (t) => {
  const kept = "stage alpha beta\nstart alpha\nstates\n----\nalpha hot.normal, beta down\n";
  const played = play(kept);
  t.true(played.endsWith("alpha hot.alone, beta down\n"));
  t.is(play(played), played, "and played again it does");
  t.throws(() => play("stage alpha\nsing alpha\n----\n"), { message: "not a command: sing alpha" });
});
